// A list of which only the rows in sight exist: a hundred thousand lines cost as much as forty. All rows are of one height.

import { h } from "./dom.js";

/** Rows beyond either edge, so that a quick turn of the wheel shows no gap. */
const SPARE = 12;

export class Windowed {
  /** `fill(slot, index)` writes a row into a slot, which is used again for others. */
  constructor(facts, fill) {
    this.fill = fill;
    this.length = 0;
    this.slots = [];
    this.tall = h("div", { class: "tall" });
    this.element = h("div", { ...facts, class: `window ${facts.class ?? ""}`, tabindex: 0 }, this.tall);
    this.element.addEventListener("scroll", () => this.draw(), { passive: true });
    this.watch = new ResizeObserver(() => {
      this.height = 0;
      this.draw();
    });
    this.watch.observe(this.element);
  }

  /** The height of a row is the style sheet's business. */
  get row() {
    if (!this.height) {
      const probe = h("div", { class: "slot" });
      this.tall.append(probe);
      this.height = probe.offsetHeight || 20;
      probe.remove();
    }
    return this.height;
  }

  get atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < this.row * 1.5;
  }

  resize(length) {
    this.length = length;
    const height = `${length * this.row}px`;
    if (this.tall.style.height !== height) this.tall.style.height = height;
  }

  toEnd() {
    this.element.scrollTop = this.length * this.row;
  }

  reveal(index) {
    const { scrollTop, clientHeight } = this.element;
    const top = index * this.row;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.row > scrollTop + clientHeight) this.element.scrollTop = top + this.row - clientHeight;
  }

  /** The same lines stay in sight when rows came or went above them. */
  shift(rows) {
    this.element.scrollTop += rows * this.row;
  }

  draw() {
    if (!this.element.isConnected) return;
    const first = Math.max(0, Math.floor(this.element.scrollTop / this.row) - SPARE);
    const last = Math.min(
      this.length,
      Math.ceil((this.element.scrollTop + this.element.clientHeight) / this.row) + SPARE,
    );
    const wanted = Math.max(0, last - first);
    while (this.slots.length < wanted) this.slots.push(this.tall.appendChild(h("div", { class: "slot" })));
    while (this.slots.length > wanted) this.slots.pop().remove();
    this.slots.forEach((slot, index) => {
      slot.style.transform = `translateY(${(first + index) * this.row}px)`;
      slot.index = first + index;
      this.fill(slot, first + index);
    });
  }

  close() {
    this.watch.disconnect();
  }
}
