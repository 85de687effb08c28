// The logs of several processes as one, live.

import { attribute, button, h, icon, keyed, show, text } from "./dom.js";
import { cells, colourOf, WholeLine } from "./log_line.js";
import { LogLines } from "./log_lines.js";
import { model, tell } from "./model.js";
import { failed } from "./notices.js";
import { place, refine } from "./place.js";
import { t } from "./words.js";
import { Windowed } from "./windowed.js";

/** Milliseconds without a key before a search is sent. */
const QUIET = 250;
/** Rows from the top at which older lines are asked for. */
const NEAR = 40;

export const open = (want) => new Logs(want);

class Logs {
  topics = ["logs"];

  constructor(want) {
    this.want = want;
    this.kept = new LogLines();
    this.following = true;
    this.search = h("input", {
      type: "search",
      "aria-label": t("logs.search"),
      placeholder: t("logs.search"),
      oninput: () => this.later(),
    });
    this.follow = button("down", t("follow"), () => this.setFollow(!this.following), {
      title: t("follow.title"),
      class: "follow",
    });
    this.chips = h("div", { class: "chips", role: "group", "aria-label": t("view.services") });
    this.count = h("span", { class: "does" });
    const clear = button("trash", t("clear"), () => this.clear());
    const bar = h(
      "div",
      { class: "bar" },
      h("h1", {}, t("view.logs")),
      h("span", { class: "search" }, icon("search"), this.search),
      h("span", { class: "bar end" }, this.count, clear, this.follow),
    );
    this.rows = new Windowed({ class: "lines card", role: "region", "aria-label": t("logs.of") }, (slot, index) =>
      this.fill(slot, index),
    );
    this.rows.element.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.rows.element.addEventListener(
      "click",
      (event) => !String(getSelection()) && this.whole.tell(event.target.closest(".slot")?.line, this.q),
    );
    this.newest = button("down", t("newest"), () => this.setFollow(true), { class: "floating main", hidden: true });
    this.empty = h("p", { class: "empty", hidden: true });
    this.whole = new WholeLine();
    this.element = h(
      "div",
      { class: "view full" },
      bar,
      this.chips,
      h("div", { class: "below" }, this.empty, this.rows.element, this.newest),
      this.whole.element,
    );
    this.keys = { f: () => this.setFollow(!this.following), Escape: () => this.whole.close() };
    this.nameFollow();
  }

  arrive({ targets = "", q = "" }) {
    this.targets = targets.split(",").filter(Boolean);
    this.q = q;
    if (document.activeElement !== this.search) this.search.value = q;
  }

  parameters() {
    // a link may name a service that is gone; which there are is known a moment later
    const known = this.targets.filter(
      (one) => !model.services.size || one === "gateway" || model.services.has(one.split(".")[0]),
    );
    return { targets: known.join(","), q: this.q };
  }

  hear(event, data) {
    if (event === "logs-begin") {
      this.kept.begin(data.cursor);
      this.older();
    } else if (event === "logs") {
      const away = this.kept.add(data.lines, data.missed);
      if (away && !this.following) this.rows.shift(-away);
      tell("logs");
    }
  }

  update(kinds) {
    if (kinds.has("services")) {
      this.offer();
      this.want();
    }
    if (!kinds.has("logs")) return;
    const { length } = this.kept.lines;
    show(this.empty, !length && !this.kept.loading);
    show(this.rows.element, length);
    this.rows.resize(length);
    if (this.following) {
      this.rows.toEnd();
      // what is scrolled from here on is somebody's wish, also where the browser tells of both at once
      this.last = this.rows.element.scrollTop;
    }
    this.rows.draw();
    text(this.count, t("logs.count", { n: length.toLocaleString() }));
    text(this.empty, this.q ? t("logs.none.q", { q: this.q }) : t("logs.none"));
    show(this.newest, length && !this.following);
  }

  offer() {
    const names = [...model.services.keys(), "gateway"];
    const processes = this.targets.filter((one) => one.includes("."));
    const all = { name: "", label: t("all") };
    const chips = [
      all,
      ...[...names, ...processes].map((name) => ({ name, label: name === "gateway" ? t("gateway") : name })),
    ];
    const make = ({ name, label }) =>
      h(
        "button",
        { type: "button", onclick: () => this.toggle(name) },
        name && h("span", { class: `dot ${colourOf(name)}` }),
        label,
      );
    keyed(
      this.chips,
      chips,
      (one) => `${one.name} ${one.label}`,
      make,
      (chip, { name }) =>
        attribute(chip, "aria-pressed", String(name ? this.targets.includes(name) : !this.targets.length)),
    );
    const longest = Math.max(
      8,
      ...[...model.services.values()].flatMap((one) =>
        one.processes.map((process) => one.name.length + (one.processes.length > 1 ? process.name.length + 1 : 0)),
      ),
    );
    this.rows.element.style.setProperty("--who", `${Math.min(longest, 24) + 1}ch`);
  }

  toggle(name) {
    const chosen = new Set(name ? this.targets : []);
    if (name && !chosen.delete(name)) chosen.add(name);
    this.again({ targets: [...chosen].join(",") });
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.again({ q: this.search.value.trim() }), QUIET);
  }

  again(query) {
    refine(query);
    this.arrive(place().query);
    this.setFollow(true);
    this.want();
    this.offer();
  }

  async older() {
    try {
      const came = await this.kept.older({ targets: this.parameters().targets, q: this.q });
      if (came === null) return;
      this.rows.resize(this.kept.lines.length);
      if (!this.following) this.rows.shift(came);
    } catch (problem) {
      failed(problem);
    }
    tell("logs");
  }

  scrolled() {
    const { scrollTop } = this.rows.element;
    const up = scrollTop < (this.last ?? 0);
    this.last = scrollTop;
    if (up && this.following && !this.rows.atEnd) this.setFollow(false);
    else if (!up && !this.following && this.rows.atEnd) this.setFollow(true);
    if (!this.following && scrollTop < NEAR * this.rows.row) this.older();
  }

  setFollow(on) {
    this.following = on;
    this.nameFollow();
    tell("logs");
  }

  nameFollow() {
    attribute(this.follow, "aria-pressed", String(this.following));
  }

  clear() {
    this.kept.begin(null);
    this.setFollow(true);
  }

  fill(slot, index) {
    const line = this.kept.lines[index];
    if (slot.line === line) return;
    slot.line = line;
    slot.replaceChildren(...cells(line, this.q));
  }

  close() {
    clearTimeout(this.timer);
    this.rows.close();
  }
}
