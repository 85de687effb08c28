// The event broker: how far each subscriber is, what could not be delivered, and the newest events.

import { get, post } from "./api.js";
import { attribute, button, h, icon, keyed, show, text } from "./dom.js";
import { BrokerHealth } from "./broker_health.js";
import { DeadLetters } from "./dead_letters.js";
import { form } from "./dialogs.js";
import { clock, moment } from "./format.js";
import { model, tell } from "./model.js";
import { finder, Narrowed } from "./narrowed.js";
import { copy, failed, notice } from "./notices.js";
import { t } from "./words.js";

const SHOWN = 100;
const TONES = { idle: "good", delivering: "link", waiting: "wait", retrying: "wait", paused: "wait" };
const COLUMNS = ["number", "time", "event.type", "source", "subject", "origin"];

export const open = () => new Events();

class Events extends Narrowed {
  topics = ["events"];
  about = "events";

  constructor() {
    super();
    this.subscriptions = h("tbody");
    const columns = ["service", "state", "lag", "in.flight", "delivered", "dead", "actions"];
    this.noSubscriptions = h("p", { class: "does" }, t("subs.none"));
    this.subscribed = scrolled(t("subscriptions"), columns, this.subscriptions, [
      "lag",
      "in.flight",
      "delivered",
      "dead",
    ]);
    this.letters = new DeadLetters();
    this.health = new BrokerHealth();
    this.filter = h("input", {
      type: "search",
      "aria-label": t("events.filter"),
      placeholder: t("events.filter"),
      oninput: () => this.narrow({ q: this.filter.value }),
    });
    this.rows = h("tbody");
    this.list = scrolled(t("events.newest"), COLUMNS, this.rows, ["number"]);
    this.empty = h(
      "div",
      { class: "empty" },
      h("h2", {}, t("events.none")),
      h("p", {}, t("events.do"), " ", h("code", {}, this.home())),
    );
    this.detail = h("aside", { class: "detail card pad", hidden: true, tabindex: -1 });
    const bar = h(
      "div",
      { class: "bar" },
      h("h2", {}, t("events.newest")),
      h("span", { class: "search end" }, icon("search"), this.filter),
    );
    const newest = h("section", { class: "card pad" }, bar, this.list, this.empty);
    const above = [
      this.health.element,
      h("section", { class: "card pad" }, h("h2", {}, t("subscriptions")), this.noSubscriptions, this.subscribed),
      this.letters.element,
    ];
    this.split = h("div", { class: "split" }, h("div", { class: "columns" }, ...above, newest), this.detail);
    this.element = h("div", { class: "view" }, h("div", { class: "bar" }, h("h1", {}, t("view.events"))), this.split);
    this.keys = { Escape: () => this.choose(null) };
    this.begin();
  }

  home() {
    return `https://events.${model.around.domain || "…"}/v1/events`;
  }

  async begin() {
    try {
      const [{ events }, { subscriptions }] = await Promise.all([
        get("/events", { after: -SHOWN, limit: SHOWN }),
        get("/events/subscriptions"),
      ]);
      for (const one of events) model.events.set(one.seq, one);
      model.subscriptions = subscriptions;
      tell("events");
      tell("subscriptions");
    } catch (problem) {
      failed(problem);
    }
  }

  update(kinds) {
    if (kinds.has("subscriptions")) this.lag();
    if (kinds.has("events")) this.newest();
    if (kinds.has("health")) this.health.update(model.health);
  }

  lag() {
    const all = model.subscriptions;
    show(this.subscribed, all.length);
    show(this.noSubscriptions, !all.length);
    keyed(
      this.subscriptions,
      all,
      (one) => one.name,
      ({ name }) => new SubscriptionRow(name),
      (row, one) => row.update(one),
    );
    this.letters.update(all);
  }

  newest() {
    const finds = finder(this.query.q);
    const found = [...model.events.values()]
      .filter(({ event }) => finds(`${event.type} ${event.source} ${event.id} ${event.subject ?? ""}`))
      .sort((a, b) => b.seq - a.seq)
      .slice(0, SHOWN);
    show(this.list, found.length);
    show(this.empty, !found.length);
    keyed(
      this.rows,
      found,
      (one) => one.seq,
      (one) => this.row(one),
      (row, one) => attribute(row, "aria-selected", String(one === this.chosen)),
    );
  }

  row(one) {
    const { event } = one;
    const number = h(
      "button",
      { class: "bare", type: "button", "aria-label": t("event.of", { n: one.seq }) },
      String(one.seq),
    );
    const cells = [
      h("td", { class: "num" }, number),
      h("td", { class: "mono" }, clock(one.at)),
      h("td", {}, h("code", {}, event.type)),
      h("td", {}, event.source),
      h("td", {}, event.subject ?? ""),
      h("td", {}, one.origin || t("origin.here")),
    ];
    return h("tr", { class: "pick", onclick: () => !String(getSelection()) && this.choose(one) }, ...cells);
  }

  choose(one) {
    this.chosen = one;
    this.newest();
    show(this.detail, one);
    attribute(this.split, "class", one ? "split opened" : "split");
    if (!one) return;
    const json = JSON.stringify(one.event, null, 2);
    const to = model.subscriptions.map(({ name }) =>
      button("replay", t("replay.one", { name }), () => replay(name, one.seq, one.seq)),
    );
    const title = h(
      "div",
      { class: "bar" },
      h("h1", {}, t("event.of", { n: one.seq })),
      button("close", t("close"), () => this.choose(null), { bare: true, class: "end" }),
    );
    const verbs = h(
      "div",
      { class: "bar" },
      ...to,
      button("copy", t("copy"), () => copy(json)),
    );
    attribute(this.detail, "aria-label", t("event.of", { n: one.seq }));
    this.detail.replaceChildren(
      title,
      h("p", { class: "does" }, `${moment(one.at)} · ${one.event.type}`),
      verbs,
      h("pre", { class: "block", tabindex: 0, translate: "no" }, json),
    );
    this.detail.focus({ preventScroll: true });
  }
}

function scrolled(label, columns, body, numbers) {
  const head = columns.map((word) =>
    h(
      "th",
      { scope: "col", class: numbers.includes(word) ? "num" : word === "actions" ? "verbs-cell" : null },
      t(word),
    ),
  );
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, ...head)), body),
  );
}

async function act(path, body) {
  try {
    return await post(path, body);
  } catch (problem) {
    failed(problem);
    return null;
  }
}

/** Both ends included; the API's `from` is the place behind which it begins. */
async function replay(name, first, last) {
  const told = await act(`/events/subscriptions/${encodeURIComponent(name)}/replay`, {
    from: String(first - 1),
    to: String(last),
  });
  if (told) notice("good", t("replayed", { n: told.replayed }));
}

class SubscriptionRow {
  constructor(name) {
    this.name = name;
    this.state = h("span", { class: "badge" });
    this.problem = h("span", { class: "why bad" });
    this.numbers = ["waiting", "in_flight", "delivered", "dead"].map((key) => [key, h("td", { class: "num" })]);
    const at = `/events/subscriptions/${encodeURIComponent(name)}`;
    this.pause = button("pause", `${t("pause")}: ${name}`, () => act(`${at}/pause`), { bare: true });
    this.resume = button("start", `${t("resume")}: ${name}`, () => act(`${at}/resume`), { bare: true });
    const again = button("replay", `${t("replay")}: ${name}`, () => this.ask(), { bare: true });
    const verbs = h("td", { class: "verbs-cell" }, h("span", { class: "verbs" }, this.pause, this.resume, again));
    this.element = h(
      "tr",
      {},
      // what goes to the remote is no service
      h(
        "th",
        { scope: "row" },
        name.includes(":") ? name : h("a", { href: `/services?name=${encodeURIComponent(name)}` }, name),
      ),
      h("td", {}, this.state, this.problem),
      ...this.numbers.map(([, cell]) => cell),
      verbs,
    );
  }

  update(one) {
    const paused = one.state === "paused";
    text(this.state, t(`sub.${one.state}`));
    attribute(this.state, "class", `badge ${TONES[one.state] ?? ""}`);
    show(this.problem, one.problem);
    text(this.problem, one.problem ?? "");
    for (const [key, cell] of this.numbers) text(cell, one[key]);
    this.numbers[3][1].className = one.dead ? "num bad" : "num";
    show(this.pause, !paused);
    show(this.resume, paused);
  }

  async ask() {
    const newest = Math.max(1, ...model.events.keys());
    const number = { type: "number", min: 1, required: true };
    const fields = [
      { name: "from", label: t("replay.from"), value: Math.max(1, newest - 9), ...number },
      { name: "to", label: t("replay.to"), value: newest, ...number },
    ];
    const range = await form(t("replay.title", { name: this.name }), t("replay.about"), fields, t("replay.do"));
    if (range) replay(this.name, Number(range.from), Number(range.to));
  }
}
