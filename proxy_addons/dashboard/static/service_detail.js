// All that is known of one service, beside the list; over it where the screen is narrow.

import { attribute, button, h, icon, keyed, show, text } from "./dom.js";
import { clock, percent, since, size, within } from "./format.js";
import { model } from "./model.js";
import { inspectButton } from "./inspect_switch.js";
import { address } from "./place.js";
import { Plot } from "./plot.js";
import { addressOf, LEAST, routeBadge, Verbs, whyOf } from "./service_row.js";
import { StateSign, stateSign } from "./state.js";
import { t } from "./words.js";

const MARKS = 20;
const NUMBERS = new Set(["uptime", "pid", "port", "restarts"]);

export class ServiceDetail {
  constructor(close) {
    this.element = h("aside", { class: "detail card pad", hidden: true, tabindex: -1 });
    this.close = close;
    this.name = "";
  }

  focus() {
    this.element.focus({ preventScroll: true });
  }

  update(name) {
    const service = model.services.get(name);
    show(this.element, service);
    if (!service) return;
    if (this.name !== name) this.build(service);
    this.fill(service);
  }

  build({ name }) {
    this.name = name;
    attribute(this.element, "aria-label", t("details.of", { name }));
    this.sign = new StateSign();
    this.why = h("p", { class: "banner" });
    this.about = h("p", { class: "does" });
    this.verbs = new Verbs(name, false);
    this.cpu = new Plot(t("cpu"), percent, LEAST.cpu);
    this.memory = new Plot(t("memory"), size, LEAST.memory);
    this.facts = h("dl", { class: "facts" });
    this.processes = h("tbody");
    this.marks = h("ol", { class: "marks" });
    const links = h(
      "span",
      { class: "bar" },
      h("a", { href: address("logs", { targets: name }) }, t("see.logs")),
      h("a", { href: address("requests", { service: name }) }, t("see.requests")),
      inspectButton(name),
    );
    const title = h(
      "div",
      { class: "bar" },
      h("h1", {}, name),
      this.sign.element,
      button("close", t("close"), this.close, { bare: true, class: "end" }),
    );
    const head = ["process", "state", "uptime", "pid", "port", "restarts", "last.exit"].map((word) =>
      h("th", { scope: "col", class: NUMBERS.has(word) ? "num" : null }, t(word)),
    );
    const table = h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": t("processes") },
      h("table", {}, h("thead", {}, h("tr", {}, ...head)), this.processes),
    );
    const plots = h(
      "div",
      { class: "plots" },
      h("figure", {}, h("figcaption", {}, t("cpu")), this.cpu.element),
      h("figure", {}, h("figcaption", {}, t("memory")), this.memory.element),
    );
    this.past = h("section", {}, h("h2", {}, t("history")), this.marks);
    this.element.replaceChildren(
      title,
      this.about,
      this.why,
      this.verbs.element,
      plots,
      h("section", {}, this.facts, links),
      h("section", {}, h("h2", {}, t("processes")), table),
      this.past,
    );
    this.told = "";
  }

  fill(service) {
    this.sign.update(service.state);
    text(this.about, service.description);
    const why = whyOf(service);
    show(this.why, why);
    text(this.why, why);
    this.verbs.update(service);
    const alive = service.processes.some((one) => one.pid);
    const costs = alive ? model.costs.get(service.name) : null;
    this.cpu.update(costs?.cpu);
    this.memory.update(costs?.memory);
    const told = JSON.stringify({ ...service, processes: [] });
    if (told !== this.told) {
      this.told = told;
      this.facts.replaceChildren(
        ...facts(service).map(([word, value]) => h("div", {}, h("dt", {}, t(word)), h("dd", {}, value))),
      );
    }
    keyed(
      this.processes,
      service.processes,
      (one) => one.name,
      () => new ProcessRow(),
      (row, one) => row.update(one),
    );
    const marks = model.marks
      .filter((one) => one.name === service.name || one.name.startsWith(`${service.name}.`))
      .slice(-MARKS)
      .reverse();
    show(this.past, marks.length);
    keyed(this.marks, marks, (one) => `${one.at} ${one.name} ${one.state}`, mark);
  }
}

function facts(service) {
  const folder = model.around.workspace;
  const url = addressOf(service);
  const code = (value) => h("code", { translate: "no" }, value);
  const outside = (href) =>
    h("a", { href, target: "_blank", rel: "noreferrer" }, href.replace(/^https?:\/\//, ""), " ", icon("open"));
  const found = [
    [
      "route",
      h(
        "span",
        {},
        routeBadge(service.route),
        " ",
        h("span", { class: "does" }, t(`route.${service.route}.long`, { remote: service.remote })),
      ),
    ],
    ["address", url && outside(url)],
    ["hosts", h("span", { class: "stack" }, ...service.hosts.map((host) => code(`${host}.${model.around.domain}`)))],
    ["port", service.port && code(String(service.port))],
    ["remote", service.remote ? code(service.remote) : t("remote.none")],
    ["needs", service.needs?.length && code(service.needs.join(", "))],
    ["starts", t(`starts.${service.start}`)],
    ["repo", service.repo && (/^https?:/.test(service.repo) ? outside(service.repo) : code(service.repo))],
    ["file", code(within(service.file, folder))],
    ["dir", code(within(service.dir, folder))],
  ];
  return found.filter(([, value]) => value);
}

class ProcessRow {
  constructor() {
    this.sign = new StateSign();
    this.name = h("code", { translate: "no" });
    const cells = ["since", "pid", "port", "restarts", "exit"];
    this.cells = Object.fromEntries(cells.map((name) => [name, h("td", { class: name === "exit" ? null : "num" })]));
    this.element = h(
      "tr",
      {},
      h("th", { scope: "row" }, this.name),
      h("td", {}, this.sign.element),
      ...Object.values(this.cells),
    );
  }

  update(one) {
    this.sign.update(one.state);
    text(this.name, one.name);
    const told = {
      since: one.since ? since(one.since) : "–",
      pid: one.pid ?? "–",
      port: one.port ?? "–",
      restarts: one.restarts,
      exit: one.exit || "–",
    };
    for (const [name, cell] of Object.entries(this.cells)) text(cell, told[name]);
  }
}

function mark(one) {
  const sign = stateSign(one.state);
  const why = one.problem.startsWith(one.exit) ? one.problem : [one.exit, one.problem].filter(Boolean).join(" — ");
  return h(
    "li",
    {},
    h("time", { class: "mono", datetime: new Date(one.at * 1000).toISOString() }, clock(one.at)),
    h("code", {}, one.name.split(".").slice(1).join(".") || one.name),
    sign,
    why && h("span", { class: "does" }, why),
  );
}
