// One line of a log: as a row of the list, and whole, below it.

import { plain, spans } from "./ansi.js";
import { button, h, show } from "./dom.js";
import { clock, moment } from "./format.js";
import { model } from "./model.js";
import { copy } from "./notices.js";
import { t } from "./words.js";

const COLOURS = 8;

/** By its place among the services: neighbours differ. */
export function colourOf(name) {
  const at = [...model.services.keys()].indexOf(name.split(".")[0]);
  return at < 0 ? "plain" : `p${at % COLOURS}`;
}

/** A row; what `q` finds in it is marked. */
export const cells = (line, q) =>
  line.missed
    ? [h("span", { class: "missed" }, t("logs.missed", { n: line.missed }))]
    : [
        h("span", { class: "at" }, clock(line.at)),
        h("span", { class: `who ${colourOf(line.name)}` }, line.name),
        h("span", {}, ...looks(line.text, q)),
      ];

export class WholeLine {
  constructor() {
    this.element = h("section", { class: "card pad whole", hidden: true, "aria-label": t("line") });
  }

  tell(line, q) {
    if (!line || line.missed) return;
    const body = h(
      "div",
      {},
      h("p", { class: "does" }, `${moment(line.at)} · ${line.name}`),
      h("pre", { class: "block", tabindex: 0 }, ...looks(line.text, q)),
    );
    const verbs = h(
      "div",
      {},
      button("copy", t("copy"), () => copy(plain(line.text)), { bare: true }),
      button("close", t("close"), () => this.close(), { bare: true }),
    );
    this.element.replaceChildren(body, verbs);
    show(this.element, true);
  }

  close() {
    show(this.element, false);
  }
}

const looks = (line, q) =>
  spans(line).flatMap(([part, style]) => {
    const inner = q ? marked(part, q) : [part];
    return style ? h("span", { class: style }, ...inner) : inner;
  });

function marked(part, q) {
  const found = [];
  const low = part.toLowerCase();
  const wanted = q.toLowerCase();
  let at = 0;
  for (let next = low.indexOf(wanted); next >= 0; next = low.indexOf(wanted, at)) {
    found.push(part.slice(at, next), h("mark", {}, part.slice(next, next + q.length)));
    at = next + q.length;
  }
  found.push(part.slice(at));
  return found.filter((one) => one !== "");
}
