// How the event broker is: where it keeps the events, how many wait, the remote both ways, and what is wrong with it.

import { attribute, h, show, text } from "./dom.js";
import { size } from "./format.js";
import { language, t } from "./words.js";

const TONES = { ok: "good", degraded: "bad", off: "" };

export class BrokerHealth {
  constructor() {
    this.state = h("span", { class: "badge" });
    this.problems = h("div", { class: "columns" });
    this.facts = h("dl", { class: "facts" });
    this.element = h(
      "section",
      { class: "card pad", hidden: true, "aria-label": t("log.title") },
      h("div", { class: "bar" }, h("h2", {}, t("log.title")), this.state),
      this.problems,
      this.facts,
    );
  }

  update(health) {
    show(this.element, health);
    if (!health) return;
    text(this.state, t(`log.${health.status}`));
    attribute(this.state, "class", `badge ${TONES[health.status]}`);
    this.problems.replaceChildren(
      ...Object.entries(health.problems).map(([name, problem]) => trouble(name, problem, health.hints[name])),
      ...Object.values(health.cautions).map((caution) => h("p", { class: "banner wait" }, caution)),
    );
    show(this.problems, this.problems.childElementCount);
    this.facts.replaceChildren(
      ...facts(health).map(([word, ...value]) => h("div", {}, h("dt", {}, t(word)), h("dd", {}, ...value))),
    );
  }
}

/** What to type stands below what is wrong; a sentence is no command. */
function trouble(name, problem, hint) {
  const command = hint?.startsWith("stores ");
  const what = h("div", {}, h("strong", {}, name), ` ${problem}`);
  return h("div", { class: "banner" }, what, hint && h(command ? "pre" : "p", {}, command ? `$ ${hint}` : hint));
}

function facts(health) {
  const number = (value) => value.toLocaleString(language());
  const waits = t("log.waits", { n: number(health.waiting), most: number(health.backlog) });
  const rows = [["log.backlog", waits]];
  if (health.engine) {
    rows.unshift(
      ["log.engine", `${health.engine} `, h("code", {}, health.where)],
      ["log.size", t("log.holds", { n: number(health.events), size: size(health.bytes) })],
    );
  }
  const { remote } = health;
  if (remote) {
    const badges = h("span", { class: "bar" }, h("code", {}, remote.url), ...ways(remote));
    rows.push(["log.remote", badges, remote.because && h("p", { class: "does" }, `${remote.receiving}: ${remote.because}`)]);
  }
  return rows;
}

function ways(remote) {
  return ["forward", "receive"].map((way) =>
    h("span", { class: `badge ${TONES[remote[way]]}` }, `${t(`log.${way}`)}: ${t(`way.${remote[way]}`)}`),
  );
}
