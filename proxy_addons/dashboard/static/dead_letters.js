// Events that a subscriber did not take, however often it was asked: try again, or drop.

import { get, post } from "./api.js";
import { button, h, keyed, show } from "./dom.js";
import { sure } from "./dialogs.js";
import { clock } from "./format.js";
import { failed, notice } from "./notices.js";
import { t } from "./words.js";

const COLUMNS = ["service", "event.type", "attempts", "status", "reason", "time", "actions"];

export class DeadLetters {
  constructor() {
    this.letters = [];
    this.rows = h("tbody");
    const head = COLUMNS.map((word) =>
      h("th", { scope: "col", class: word === "attempts" ? "num" : word === "actions" ? "verbs-cell" : null }, t(word)),
    );
    this.list = h(
      "div",
      { class: "scroll short", tabindex: 0, role: "region", "aria-label": t("deadletters"), hidden: true },
      h("table", {}, h("thead", {}, h("tr", {}, ...head)), this.rows),
    );
    this.none = h("p", { class: "does" }, t("dead.none"));
    this.all = button("replay", t("retry.all"), () => this.act("retry", this.letters), { class: "end", hidden: true });
    this.element = h(
      "section",
      { class: "card pad" },
      h("div", { class: "bar" }, h("h2", {}, t("deadletters")), this.all),
      this.none,
      this.list,
    );
  }

  /** How many there are stands in the subscriptions; which ones is asked when that changes. */
  update(subscriptions) {
    const told = subscriptions.map((one) => `${one.name} ${one.dead}`).join();
    if (told === this.told) return;
    this.told = told;
    if (subscriptions.some((one) => one.dead)) this.ask();
    else this.show([]);
  }

  async ask() {
    try {
      this.show((await get("/events/deadletters")).deadletters);
    } catch (problem) {
      failed(problem);
    }
  }

  show(letters) {
    this.letters = letters;
    show(this.list, letters.length);
    show(this.none, !letters.length);
    show(this.all, letters.length > 1);
    keyed(
      this.rows,
      letters,
      (one) => one.number,
      (one) => this.row(one),
    );
  }

  row(one) {
    const label = (verb) => `${t(verb)}: ${one.subscription}, ${t("event.of", { n: one.seq })}`;
    const verbs = h(
      "span",
      { class: "verbs" },
      button("replay", label("retry"), () => this.act("retry", [one]), { bare: true }),
      button("trash", label("drop"), () => this.drop(one), { bare: true }),
    );
    const reason = h("td", {}, h("div", { class: "clip", title: one.reason }, inShort(one.reason)));
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, one.subscription),
      h("td", {}, h("code", {}, one.event?.type ?? one.seq)),
      h("td", { class: "num" }, one.attempts),
      h("td", {}, one.status ?? "–"),
      reason,
      h("td", { class: "mono" }, clock(one.at)),
      h("td", { class: "verbs-cell" }, verbs),
    );
  }

  async drop(one) {
    if (await sure(t("drop.sure"), t("drop"))) this.act("drop", [one]);
  }

  async act(verb, letters) {
    try {
      const told = await post(`/events/deadletters/${verb}`, { numbers: letters.map((one) => one.number) });
      const done = { retry: "retried", drop: "dropped" }[verb];
      notice("good", t(done, { n: told[done] }));
      await this.ask();
    } catch (problem) {
      failed(problem);
    }
  }
}

/** Of a problem document (RFC 9457) what it says; of anything else all of it. */
function inShort(reason) {
  try {
    const told = JSON.parse(reason);
    return told.detail || told.title || reason;
  } catch {
    return reason;
  }
}
