// How a process's state is said and drawn: a word, a shape and a tone, so that nothing depends on colour alone.

import { h, s, text } from "./dom.js";
import { t } from "./words.js";

/** Filled: it answers. Hollow: it is not there. Turning: it is on its way. A triangle: it went wrong. */
const LOOKS = {
  ready: ["good", "disc"],
  external: ["good", "diamond"],
  starting: ["wait", "turn"],
  stopping: ["wait", "turn"],
  queued: ["wait", "dots"],
  backoff: ["bad", "triangle"],
  failed: ["bad", "triangle"],
  exited: ["plain", "ring"],
  stopped: ["plain", "ring"],
};

const SHAPES = {
  disc: () => s("circle", { cx: 8, cy: 8, r: 6, fill: "currentColor", stroke: "none" }),
  diamond: () => s("path", { d: "M8 1l7 7-7 7-7-7z", fill: "currentColor", stroke: "none" }),
  turn: () => s("path", { d: "M8 2a6 6 0 1 1-6 6", "stroke-width": 2.5 }),
  dots: () => s("path", { d: "M2.5 8h.01M8 8h.01M13.5 8h.01", "stroke-width": 3.5 }),
  triangle: () => s("path", { d: "M8 1.5L15.5 14.5H.5z", fill: "currentColor", stroke: "none" }),
  ring: () => s("circle", { cx: 8, cy: 8, r: 5.5, "stroke-width": 2 }),
};

export const toneOf = (state) => LOOKS[state]?.[0] ?? "plain";

export const isBroken = (state) => state === "failed" || state === "backoff";

export const answers = (state) => state === "ready" || state === "external";

/** Whether something of it lives, or is about to. */
export const isUp = (state) => ["ready", "external", "starting", "queued", "backoff", "stopping"].includes(state);

export class StateSign {
  constructor() {
    this.picture = s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
    this.word = h("span");
    this.element = h("span", { class: "state" }, this.picture, this.word);
  }

  update(state) {
    if (state === this.state) return;
    this.state = state;
    const [tone, shape] = LOOKS[state] ?? ["plain", "ring"];
    this.element.className = `state ${tone}`;
    this.picture.setAttribute("class", shape === "turn" ? "turning" : "");
    this.picture.replaceChildren(SHAPES[shape]());
    text(this.word, t(`state.${state}`));
  }
}

export function stateSign(state) {
  const made = new StateSign();
  made.update(state);
  return made.element;
}
