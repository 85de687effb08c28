// What stands around every view: the header, the way to the views, and what is wrong with the whole.

import { attribute, button, h, icon, keyed, show, text } from "./dom.js";
import { help } from "./dialogs.js";
import { percent, size } from "./format.js";
import { onKey } from "./keyboard.js";
import { model } from "./model.js";
import { address, go, place, VIEWS } from "./place.js";
import { isBroken } from "./state.js";
import { language, t } from "./words.js";

const root = document.documentElement;
const THEMES = ["auto", "light", "dark"];

export class Frame {
  /** `again`: opens the stream now. `translated`: the language is another now. */
  constructor(again, translated) {
    this.again = again;
    this.translated = translated;
    this.hidden = new Set(["identities", "inspect"]);
    VIEWS.forEach((view, index) => onKey(String(index + 1), () => !this.hidden.has(view) && go(view)));
    onKey("?", help);
    onKey("t", () => this.turnTheme());
    onKey("l", () => this.turnLanguage());
    this.build();
  }

  build() {
    document.getElementById("skip").textContent = t("skip");
    document.getElementById("notices").setAttribute("aria-label", t("notices"));
    this.where = h("span", { class: "where" });
    this.word = h("span");
    this.live = h("span", { class: "live", role: "status" }, this.word);
    this.theme = button("theme", "", () => this.turnTheme(), { bare: true });
    const other = button(null, t("language"), () => this.turnLanguage(), {
      class: "bare",
      title: t("language.title"),
      lang: language() === "en" ? "ja" : "en",
    });
    const looks = h("span", { class: "looks" }, other, this.theme, button("help", t("help"), help, { bare: true }));
    const brand = h(
      "a",
      { class: "brand", href: "/services" },
      h("img", { src: "/static/icon.svg", alt: "", width: 24, height: 24 }),
      "stores",
    );
    document.getElementById("top").replaceChildren(brand, this.where, this.live, looks);
    this.nameTheme();
    this.count = h("span", { class: "count" });
    this.links = Object.fromEntries(
      VIEWS.map((view) => [
        view,
        h(
          "a",
          { href: address(view) },
          icon(view),
          h("span", {}, t(`view.${view}`)),
          view === "services" && this.count,
        ),
      ]),
    );
    const list = h("ul", {}, ...VIEWS.map((view) => h("li", {}, this.links[view])));
    const nav = document.getElementById("views");
    nav.setAttribute("aria-label", t("views"));
    nav.replaceChildren(list);
    this.banners = h("div", { class: "view banners" });
    this.update();
  }

  update() {
    const { around, connection } = model;
    const here = place().view;
    for (const [view, link] of Object.entries(this.links)) {
      const arrived = view === here && link.getAttribute("aria-current") !== "page";
      attribute(link, "aria-current", view === here ? "page" : null);
      if (arrived) link.scrollIntoView({ block: "nearest", inline: "nearest" }); // a narrow screen shows some of them
      show(link.parentElement, !this.hidden.has(view));
    }
    document.title = `${t(`view.${here}`)} · stores`;
    const broken = [...model.services.values()].filter((one) => isBroken(one.state)).length;
    show(this.count, broken);
    text(this.count, broken);
    attribute(this.count, "title", t("state.failed"));
    const lost = connection === "lost";
    this.live.className = lost ? "live lost" : "live";
    text(
      this.word,
      connection === "live" || connection === "asleep"
        ? this.cost()
        : lost
          ? t("lost")
          : connection === "stranger"
            ? ""
            : t("connecting"),
    );
    text(this.where, around.domain ? `${around.domain} · ${around.workspace.split("/").at(-1)}` : "");
    attribute(this.where, "title", around.workspace);
    this.warn(lost);
  }

  cost() {
    const [gateway, stores] = ["gateway", "stores"].map((name) => model.costs.get(name));
    if (!gateway || !stores) return t("live");
    const sum = (kind) => gateway[kind].at(-1) + stores[kind].at(-1);
    return t("own", { memory: size(sum("memory")), cpu: percent(sum("cpu")) });
  }

  warn(lost) {
    const found = [];
    if (lost)
      found.push({
        key: "lost",
        make: () =>
          h(
            "div",
            { class: "banner wait", role: "alert" },
            h("p", {}, t("lost.long")),
            h("p", {}, button("restart", t("try.now"), this.again)),
          ),
      });
    for (const { topic, detail, hint } of model.problems.values()) {
      found.push({
        key: `${topic} ${detail}`,
        make: () =>
          h(
            "div",
            { class: "banner wait", role: "alert" },
            h("p", {}, detail),
            hint && h("p", { class: "does" }, hint),
          ),
      });
    }
    if (model.around.mistakes.length) {
      const said = model.around.mistakes.join("\n\n");
      found.push({
        key: said,
        make: () =>
          h("div", { class: "banner", role: "alert" }, h("strong", {}, t("mistakes")), h("pre", { tabindex: 0 }, said)),
      });
    }
    keyed(
      this.banners,
      found,
      (one) => one.key,
      (one) => one.make(),
    );
    show(this.banners, found.length);
  }

  turnTheme() {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "auto") + 1) % THEMES.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    localStorage.setItem("stores.theme", next);
    this.nameTheme();
  }

  nameTheme() {
    const label = t("theme.title", { now: t(`theme.${root.dataset.theme ?? "auto"}`) });
    attribute(this.theme, "aria-label", label);
    attribute(this.theme, "title", label);
  }

  turnLanguage() {
    root.lang = language() === "en" ? "ja" : "en";
    localStorage.setItem("stores.language", root.lang);
    this.build();
    this.translated();
  }
}
