// One request: its facts, and the waterfall of its trace with the events and changes of state of the same time.

import { button, h, s, show } from "./dom.js";
import { clock, duration, moment, size } from "./format.js";
import { inspectButton } from "./inspect_switch.js";
import { nameOf } from "./map.js";
import { model } from "./model.js";
import { copy } from "./notices.js";
import { routeBadge } from "./service_row.js";
import { statusOf } from "./status_code.js";
import { isIll } from "./timeline.js";
import { t } from "./words.js";

export class RequestDetail {
  constructor(close) {
    this.close = close;
    this.element = h("aside", { class: "detail card pad", hidden: true, tabindex: -1, "aria-label": t("request") });
    this.shown = null;
  }

  focus() {
    this.element.focus({ preventScroll: true });
  }

  update(id) {
    const one = id ? (model.requests.get(id) ?? (this.shown?.id === id ? this.shown : null)) : null;
    show(this.element, one);
    const told = one && `${id} ${one.status} ${one.duration} ${this.siblings(one).length} ${meanwhile(one).length}`;
    if (one && told !== this.told) this.build(one);
    this.shown = one;
    this.told = told;
  }

  /** Of the same trace, the oldest first. */
  siblings(one) {
    if (!one.trace) return [one];
    return [...model.requests.values()].filter((other) => other.trace === one.trace).sort((a, b) => a.at - b.at);
  }

  build(one) {
    const title = h(
      "div",
      { class: "bar" },
      h("h1", {}, one.method, " ", statusOf(one)),
      button("close", t("close"), this.close, { bare: true, class: "end" }),
    );
    const url = one.method === "CONNECT" ? one.path : `${one.scheme}://${one.host}${one.path}`;
    const curl = button("copy", t("copy.curl"), () => copy(asCurl(one, url)));
    const known = facts(one).filter(([, value]) => value);
    const list = h(
      "dl",
      { class: "facts" },
      ...known.map(([word, value]) => h("div", {}, h("dt", {}, t(word)), h("dd", {}, value))),
    );
    const trace = this.siblings(one);
    const guessed = trace.length < 2 ? meanwhile(one) : [];
    const fall = waterfall([...trace, ...guessed], one);
    const about = guessed.length
      ? t("trace.meanwhile", { name: one.service })
      : trace.length < 2
        ? t("trace.alone")
        : "";
    const falls = h("section", {}, h("h2", {}, t("waterfall")), fall, about && h("p", { class: "does" }, about));
    const copied = one.method === "CONNECT" ? "" : h("p", { class: "bar" }, curl, inspectButton(one.service));
    this.element.replaceChildren(
      title,
      h("p", {}, h("code", { translate: "no" }, url)),
      falls,
      h("section", {}, list),
      copied,
    );
  }
}

/** What its service asked of others while it answered: shown where no trace tells, and said to be no more than that. */
function meanwhile(one) {
  const until = one.at + (one.duration ?? Infinity);
  const fits = (other) => one.service && other.caller === one.service && other.at >= one.at && other.at <= until;
  return [...model.requests.values()].filter(fits).slice(0, 50);
}

function facts(one) {
  const code = (value) => h("code", { translate: "no" }, value);
  return [
    ["time", moment(one.at)],
    [
      "caller",
      h(
        "span",
        {},
        nameOf(one.caller),
        one.how ? h("span", { class: "does" }, ` · ${t("how")}: ${t(`how.${one.how}`)}`) : "",
      ),
    ],
    ["callee", one.service ? h("a", { href: `/services?name=${one.service}` }, one.service) : code(one.host)],
    ["route.went", one.route && routeBadge(one.route)],
    ["error", one.error && h("span", { class: "bad" }, one.error)],
    ["duration", duration(one.duration)],
    ["first.byte", one.first_byte !== null && duration(one.first_byte)],
    ["bytes.both", `${size(one.request_bytes)} / ${size(one.response_bytes)}`],
    ["trace", one.trace && h("a", { href: `/requests?q=${one.trace}&id=${one.id}` }, code(one.trace))],
  ];
}

/** Only what was noted of it: neither headers nor body. */
const asCurl = (one, url) =>
  `curl -i ${one.method === "GET" ? "" : `-X ${one.method} `}'${url.replaceAll("'", "%27")}'`;

function waterfall(requests, chosen) {
  const from = Math.min(...requests.map((one) => one.at));
  const until = Math.max(...requests.map((one) => one.at + (one.duration ?? 0)), from + 0.001);
  const length = until - from;
  const x = (at) => ((at - from) / length) * 100;
  const rows = requests.map((one) => ({ at: one.at, element: span(one, x, chosen) }));
  const margin = Math.max(length, 0.5);
  const near = (one) => one.at >= from && one.at <= until + margin;
  const point = (one, word, tone) => ({
    at: one.at,
    element: h(
      "li",
      {},
      h("span", { class: tone, title: word }, word),
      s(
        "svg",
        { viewBox: "0 0 100 14", preserveAspectRatio: "none", "aria-hidden": "true" },
        s("rect", { x: Math.min(99, x(one.at)).toFixed(2), width: 1, height: 14, class: tone }),
      ),
      h("span", { class: "num does" }, `+${duration(one.at - from)}`),
    ),
  });
  rows.push(...[...model.events.values()].filter(near).map((one) => point(one, `⚡ ${one.event?.type ?? ""}`, "said")));
  rows.push(...model.marks.filter(near).map((one) => point(one, `${one.name}: ${t(`state.${one.state}`)}`, "wait")));
  return h("ol", { class: "fall" }, ...rows.sort((a, b) => a.at - b.at).map((one) => one.element));
}

function span(one, x, chosen) {
  const left = x(one.at);
  const whole = Math.max(0.6, x(one.at + (one.duration ?? 0)) - left);
  const first = one.first_byte === null ? whole : Math.max(0, x(one.at + one.first_byte) - left);
  const bars = s(
    "svg",
    { viewBox: "0 0 100 14", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "wait", x: left.toFixed(2), y: 3, width: Math.max(0.3, first).toFixed(2), height: 8 }),
    s("rect", {
      class: isIll(one) ? "ill" : null,
      x: (left + first).toFixed(2),
      y: 1,
      width: Math.max(0.4, whole - first).toFixed(2),
      height: 12,
    }),
  );
  const word = `${one.service || one.host} ${one.method} ${one.path}`;
  return h(
    "li",
    { class: one.id === chosen.id ? "self" : null },
    h("span", { title: `${clock(one.at, true)} ${word}` }, h("a", { href: `/requests?id=${one.id}` }, word)),
    bars,
    h("span", { class: "num" }, duration(one.duration)),
  );
}
