// A long list of which one is looked at: by a click, by j and k, or by the arrows while the list has the focus.

import { attribute } from "./dom.js";
import { Windowed } from "./windowed.js";

export class Listbox extends Windowed {
  list = [];

  /**
   * `option`: how the ids of its rows begin. `cells(one)` fills a row. `chosen()` is the id that is looked at; `look(id)`
   * looks at another on the way, `choose(id)` does and stays there: "" at none.
   */
  constructor(facts, { option, cells, chosen, look, choose }) {
    super({ ...facts, role: "listbox" }, (slot, index) => this.write(slot, this.list[index]));
    Object.assign(this, { option, cells, chosen, look });
    this.element.addEventListener("click", (event) => choose(event.target.closest(".slot")?.one?.id));
    const inList = (step) => () => document.activeElement === this.element && (this.move(step), true);
    this.keys = {
      j: () => this.move(1),
      k: () => this.move(-1),
      ArrowDown: inList(1),
      ArrowUp: inList(-1),
      Escape: () => choose(""),
    };
  }

  has(list) {
    this.list = list;
    this.resize(list.length);
  }

  write(slot, one) {
    attribute(slot, "aria-selected", String(String(one.id) === this.chosen()));
    if (slot.one === one) return;
    slot.one = one;
    slot.role = "option";
    slot.id = `${this.option}-${one.id}`;
    slot.replaceChildren(...this.cells(one));
  }

  move(step) {
    const at = this.list.findIndex((one) => String(one.id) === this.chosen());
    const next = this.list[Math.min(this.list.length - 1, Math.max(0, at + step))];
    if (!next) return;
    this.reveal(this.list.indexOf(next));
    this.look(String(next.id));
    attribute(this.element, "aria-activedescendant", `${this.option}-${next.id}`);
  }
}
