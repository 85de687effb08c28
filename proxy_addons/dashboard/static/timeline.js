// The last minute as one picture: a lane for each service with its requests and changes of state, and one for events.

import { h, s } from "./dom.js";
import { model } from "./model.js";
import { isBroken } from "./state.js";
import { t } from "./words.js";

export const SECONDS = 60;
const WIDTH = 1000;
const LANE = 18;
const LEFT = 110;
const TOP = 4;
const LANES = 8;
/** Requests that are drawn one by one; of more, each lane is full anyway. */
const MOST = 600;

export class Timeline {
  constructor() {
    this.picture = s("svg", { role: "img", "aria-label": t("timeline.about") });
    this.element = h("figure", { class: "strip card pad" }, h("h2", {}, t("timeline")), this.picture);
    // once a second is enough for a minute, also when nothing happens: time goes on
    this.timer = setInterval(() => this.draw(), 1000);
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    if (!this.element.isConnected || document.hidden) return;
    const now = Date.now() / 1000;
    const since = now - SECONDS;
    const recent = [...model.requests.values()].filter((one) => one.at + (one.duration ?? 0) > since).slice(-MOST);
    const marks = model.marks.filter((one) => one.at > since);
    const said = [...model.events.values()].filter((one) => one.at > since);
    const lanes = [
      ...new Set([...recent.map((one) => one.service || one.host), ...marks.map((one) => one.name.split(".")[0])]),
    ]
      .sort()
      .slice(0, LANES);
    const names = said.length ? [...lanes, t("view.events")] : lanes;
    const width = this.picture.clientWidth || WIDTH;
    const x = (at) => LEFT + ((at - since) / SECONDS) * (width - LEFT - 4);
    const y = new Map(names.map((name, index) => [name, TOP + index * LANE + LANE / 2]));
    const height = TOP + Math.max(1, names.length) * LANE + 16;
    this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.picture.style.height = `${height}px`;
    const parts = [
      ...names.map((name) => lane(name, y.get(name), width)),
      ...axis(x, height, width),
      ...recent.map((one) => bar(one, x, y)),
      ...marks.map((one) => flag(one, x, y)),
      ...said.map((one) => diamond(one, x, y.get(t("view.events")))),
    ];
    this.picture.replaceChildren(...parts.filter(Boolean));
  }

  close() {
    clearInterval(this.timer);
  }
}

const lane = (name, y, width) =>
  s(
    "g",
    {},
    s("text", { x: 0, y: y + 4 }, name.length > 16 ? `${name.slice(0, 15)}…` : name),
    s("path", { class: "lane", d: `M${LEFT} ${y}H${width}` }),
  );

const axis = (x, height, width) =>
  (width < 600 ? [60, 30, 0] : [60, 45, 30, 15, 0]).map((ago) =>
    s(
      "text",
      { x: x(Date.now() / 1000 - ago), y: height - 2, "text-anchor": ago === 60 ? "start" : ago ? "middle" : "end" },
      ago ? `−${t("seconds", { n: ago })}` : t("who.now"),
    ),
  );

export const isIll = (one) => one.status >= 500 || Boolean(one.error);

function bar(one, x, y) {
  const at = y.get(one.service || one.host);
  if (at === undefined) return null;
  const from = Math.max(LEFT, x(one.at));
  const until = x(one.at + (one.duration ?? Date.now() / 1000 - one.at));
  const ill = isIll(one);
  // what failed is higher, too: not by its colour alone
  return s(
    "rect",
    {
      class: ill ? "ill" : "ask",
      x: from.toFixed(1),
      y: at - (ill ? 7 : 4),
      width: Math.max(2, until - from).toFixed(1),
      height: ill ? 14 : 8,
      rx: 1,
    },
    s("title", {}, `${one.method} ${one.path} ${one.status || "…"}`),
  );
}

function flag(one, x, y) {
  const at = y.get(one.name.split(".")[0]);
  if (at === undefined) return null;
  const tone = isBroken(one.state) ? "bad" : one.state === "ready" ? "good" : "wait";
  const shape = { bad: "M-5 5L0-5 5 5z", good: "M-4 0a4 4 0 1 0 8 0 4 4 0 1 0-8 0", wait: "M0-6V6" }[tone];
  const said = t("mark.state", { name: one.name, before: t(`state.${one.before}`), state: t(`state.${one.state}`) });
  return s(
    "path",
    { class: `mark ${tone}`, d: shape, fill: "var(--card)", transform: `translate(${x(one.at).toFixed(1)} ${at})` },
    s("title", {}, said),
  );
}

const diamond = (one, x, at) =>
  s(
    "path",
    { class: "said", d: "M0-5L5 0 0 5-5 0z", transform: `translate(${x(one.at).toFixed(1)} ${at})` },
    s("title", {}, one.event?.type ?? ""),
  );
