// Who one is at the local API gateway.

import { get, post } from "./api.js";
import { button, h, icon } from "./dom.js";
import { span } from "./format.js";
import { failed } from "./notices.js";
import { t } from "./words.js";

export const open = () => new Identities();

class Identities {
  topics = [];

  constructor() {
    this.body = h("div", { class: "people" });
    this.mode = h("p", { class: "does" });
    this.played = h("div");
    this.element = h(
      "div",
      { class: "view" },
      h("div", { class: "bar" }, h("h1", {}, t("who.title"))),
      h("p", { class: "does" }, t("who.about")),
      this.mode,
      this.played,
      this.body,
    );
    this.ask(() => get("/identities"));
  }

  async ask(question) {
    try {
      this.show(await question());
    } catch (problem) {
      failed(problem);
    }
  }

  show(told) {
    this.mode.replaceChildren(
      `${t("mode")}: `,
      h("code", {}, told.mode),
      ` · ${t("who.now")}: `,
      h("strong", {}, told.current || t("who.nobody")),
    );
    const played = told.simulations.map((one) =>
      t("who.played", {
        what: one.plays.join(", "),
        who: one.services.join(", ") || t("all"),
        span: span(one.seconds_left),
      }),
    );
    this.played.replaceChildren(...played.map((said) => h("p", { class: "banner wait" }, said)));
    if (told.identities.length) this.body.replaceChildren(...told.identities.map((one) => this.card(one, told)));
    else
      this.body.replaceChildren(h("div", { class: "card empty" }, h("h2", {}, t("who.none")), h("p", {}, t("who.do"))));
  }

  card(one, { current, default: usual }) {
    const now = one.name === current;
    const use = (name) => this.ask(() => post("/identities/use", { name }));
    const code = (value) => h("code", { translate: "no" }, value);
    const claims = Object.entries(one.claims).map(([name, value]) => [
      code(name),
      code(typeof value === "string" ? value : JSON.stringify(value)),
    ]);
    const facts = [
      [t("subject"), code(one.sub)],
      [t("scopes"), one.scopes.length ? code(one.scopes.join(" ")) : t("none")],
      ...claims,
    ];
    const list = h(
      "dl",
      { class: "facts" },
      ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    );
    const other =
      now && usual !== current
        ? button("replay", t("who.default"), () => use(null))
        : button("identities", t("who.use", { name: one.name }), () => use(one.name));
    const sign = now ? h("span", { class: "badge link end" }, icon("check"), t("who.now")) : null;
    return h(
      "section",
      { class: now ? "card pad now" : "card pad" },
      h("div", { class: "bar" }, h("h2", { class: "name" }, one.name), sign),
      list,
      now && usual === current ? null : h("p", {}, other),
    );
  }

  update() {}
}
