// One service in the list. Made once; told what has changed.

import { attribute, button, h, icon, show, text } from "./dom.js";
import { percent, since, size } from "./format.js";
import { model } from "./model.js";
import { Plot } from "./plot.js";
import { isUp, StateSign, toneOf } from "./state.js";
import { steer } from "./steering.js";
import { t } from "./words.js";

const ROUTES = { local: ["good", "here"], remote: ["link", "cloud"], fallback: ["plain", "note"] };

/** CPU in percent of a core, memory in bytes: what fills a plot at least. */
export const LEAST = { cpu: 10, memory: 64e6 };

/** Of a service's addresses the one that works where this page works. */
export function addressOf(service) {
  const here = location.hostname.endsWith(".localhost") ? ".localhost" : "";
  return service.urls.find((url) => new URL(url).hostname.endsWith(".localhost") === Boolean(here)) ?? service.urls[0];
}

export function routeBadge(route) {
  const [tone, sign] = ROUTES[route] ?? ROUTES.fallback;
  return h("span", { class: `badge ${tone}` }, icon(sign), t(`route.${route}`));
}

/** Why it is not well: what the supervisor says of it, or what came of a button. */
export function whyOf(service) {
  const failure = model.failures.get(service.name);
  const said = service.problem || service.processes.find((one) => one.problem)?.problem;
  if (said) return said;
  if (failure) return [failure.message, failure.hint].filter(Boolean).join(" — ");
  const ended = toneOf(service.state) === "bad" && service.processes.find((one) => one.exit);
  return ended ? t("exit.was", { exit: ended.exit }) : (service.advice ?? "");
}

export class Verbs {
  constructor(name, bare) {
    const make = (verb) =>
      button(verb, bare ? t(`${verb}.one`, { name }) : t(verb), () => steer(verb, [name]), { bare });
    this.buttons = { start: make("start"), restart: make("restart"), stop: make("stop") };
    this.doing = h("span", { class: "does doing" });
    this.name = name;
    this.element = h("span", { class: "verbs" }, this.doing, ...Object.values(this.buttons));
  }

  update(service) {
    const doing = model.pending.get(this.name);
    const up = isUp(service.state);
    show(this.buttons.start, !up && service.state !== "external");
    show(this.buttons.restart, up && service.state !== "external");
    show(this.buttons.stop, up && service.state !== "external");
    this.buttons.start.disabled = this.buttons.restart.disabled = Boolean(doing);
    // what starts may be stopped: that is how one gives up waiting
    this.buttons.stop.disabled = doing === "stop";
    show(this.doing, doing);
    text(this.doing, doing ? t(`doing.${doing}`) : "");
  }
}

export class ServiceRow {
  constructor({ name }, choose) {
    this.name = name;
    this.sign = new StateSign();
    this.link = h("a", { class: "name", href: `/services?name=${encodeURIComponent(name)}` }, name);
    this.link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      choose(name);
    });
    this.about = h("span", { class: "does about" });
    this.why = h("span", { class: "why bad" });
    this.cpu = new Plot(t("cpu"), percent, LEAST.cpu);
    this.memory = new Plot(t("memory"), size, LEAST.memory);
    this.uptime = h("span");
    this.restarts = h("span", { class: "does" });
    this.route = h("span", { class: "c-route", role: "cell" });
    this.port = h("span");
    this.url = h("a", { target: "_blank", rel: "noreferrer" }, h("span", { class: "unseen" }, name), this.port);
    this.verbs = new Verbs(name, true);
    const cell = (kind, ...children) => h("span", { role: "cell", class: `c-${kind}` }, ...children);
    this.element = h(
      "div",
      {
        role: "row",
        class: "row",
        tabindex: 0,
        "data-name": name,
        onclick: (event) => !event.target.closest("a, button") && !String(getSelection()) && choose(name),
      },
      cell("state", this.sign.element),
      cell("service", this.link, this.about, this.why),
      cell("cpu", this.cpu.element),
      cell("memory", this.memory.element),
      cell("uptime", this.uptime, this.restarts),
      this.route,
      cell("address", this.url),
      cell("actions", this.verbs.element),
    );
  }

  update(service, chosen) {
    this.service = service;
    this.sign.update(service.state);
    attribute(this.element, "aria-current", chosen ? "true" : null);
    text(this.about, service.description);
    const why = whyOf(service);
    show(this.why, why);
    text(this.why, why);
    if (this.routed !== service.route) {
      this.routed = service.route;
      this.route.replaceChildren(routeBadge(service.route));
    }
    attribute(this.route, "title", t(`route.${service.route}.long`, { remote: service.remote }));
    const url = addressOf(service);
    show(this.url, url);
    if (url) {
      attribute(this.url, "href", url);
      attribute(this.url, "title", url);
      text(this.port, service.port ? `:${service.port}` : new URL(url).host);
    }
    this.verbs.update(service);
    this.measure();
  }

  measure() {
    const { service } = this;
    const alive = service.processes.some((one) => one.pid);
    const costs = alive ? model.costs.get(this.name) : null;
    this.cpu.update(costs?.cpu);
    this.memory.update(costs?.memory);
    const first = service.processes[0];
    text(this.uptime, first?.since && (alive || toneOf(service.state) === "bad") ? since(first.since) : "–");
    const restarts = service.processes.reduce((sum, one) => sum + one.restarts, 0);
    text(this.restarts, restarts ? t(restarts === 1 ? "restarts.1" : "restarts.n", { n: restarts }) : "");
  }
}
