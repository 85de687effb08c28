// What `stores doctor` finds, with the mend to copy.

import { get } from "./api.js";
import { button, h, icon, text } from "./dom.js";
import { moment } from "./format.js";
import { command, say } from "./notices.js";
import { t } from "./words.js";

const LOOKS = { ok: ["good", "check"], note: ["wait", "note"], broken: ["bad", "warning"] };

export const open = () => new Doctor();

class Doctor {
  topics = [];

  constructor() {
    this.again = button("restart", t("doctor.again"), () => this.ask(), { class: "end" });
    this.said = h("p", { class: "does", role: "status" });
    this.list = h("ol", { class: "findings card" });
    this.element = h(
      "div",
      { class: "view" },
      h("div", { class: "bar" }, h("h1", {}, t("view.doctor")), this.again),
      h("p", { class: "does" }, about()),
      this.said,
      this.list,
    );
    this.list.hidden = true;
    this.ask();
  }

  async ask() {
    this.again.disabled = true;
    text(this.said, t("doctor.busy"));
    try {
      this.show(await get("/findings"));
    } catch (problem) {
      text(this.said, [problem.message || t("unreachable"), problem.hint].filter(Boolean).join(" — "));
    }
    this.again.disabled = false;
  }

  show({ at, findings }) {
    const broken = findings.filter((one) => one.health === "broken").length;
    const sentence = broken ? t("doctor.broken", { n: broken }) : t("doctor.ok");
    text(this.said, `${sentence} · ${moment(at)}`);
    say(sentence);
    this.list.replaceChildren(...findings.map(row));
    this.list.hidden = false;
  }

  update() {}
}

function about() {
  const [before, middle, after] = t("doctor.about").split(/[<>]/);
  return h("span", {}, before, h("code", {}, middle), after);
}

function row({ link, health, said, mend }) {
  const [tone, sign] = LOOKS[health] ?? LOOKS.note;
  const head = h("div", {}, h("span", { class: `badge ${tone}` }, icon(sign), t(`health.${health}`)));
  const lines = mend ? mend.split("\n").filter(Boolean) : [];
  const mends =
    lines.length && h("div", { class: "mend" }, h("span", { class: "does" }, t("doctor.mend")), ...lines.map(command));
  return h("li", {}, head, h("div", {}, h("h2", { class: "name" }, link), h("p", {}, said), mends || null));
}
