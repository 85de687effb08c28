// One request that was kept: heads, bodies, messages, times; to copy, to save, to send again.

import { asQuery, get, post } from "./api.js";
import { button, h, icon, show } from "./dom.js";
import { form } from "./dialogs.js";
import { clock, duration, size } from "./format.js";
import { copy, failed, notice } from "./notices.js";
import { go } from "./place.js";
import { routeBadge } from "./service_row.js";
import { statusOf } from "./status_code.js";
import { t } from "./words.js";

export class InspectDetail {
  constructor(close) {
    this.close = close;
    this.secrets = false;
    this.element = h("aside", { class: "detail card pad", hidden: true, tabindex: -1, "aria-label": t("request") });
  }

  update(record) {
    show(this.element, record);
    const told = record && `${record.id} ${record.state} ${record.messages} ${this.secrets}`;
    if (told === this.told) return;
    this.told = told;
    if (record) this.ask(record.id);
  }

  async ask(id) {
    const asked = this.told;
    try {
      const whole = await get(`/inspection/requests/${id}`, { secrets: this.secrets || "" });
      if (asked === this.told) this.build(whole);
    } catch (problem) {
      failed(problem);
    }
  }

  build(one) {
    const title = h(
      "div",
      { class: "bar" },
      h("h1", {}, one.method, " ", statusOf({ ...one, status: one.status ?? 0 })),
      button("close", t("close"), this.close, { bare: true, class: "end" }),
    );
    const notes = one.notes?.length ? h("p", { class: "banner wait" }, one.notes.join(" ")) : "";
    const fault = one.error ? h("p", { class: "banner" }, one.error) : "";
    const parts = [
      title,
      h("p", {}, h("code", { translate: "no" }, one.url)),
      this.verbs(one),
      fault,
      notes,
      facts(one),
      side(t("request"), one.request),
    ];
    if (one.response) parts.push(side(t("response"), one.response));
    if (one.messages?.length) parts.push(messages(one.messages));
    if (one.sent)
      parts.push(
        h(
          "details",
          {},
          h("summary", {}, t("inspect.sent", { to: one.sent.to })),
          heads(one.sent.headers, one.sent.to),
        ),
      );
    this.element.replaceChildren(...parts);
  }

  verbs(one) {
    const at = `/api/v1/inspection/requests/${one.id}/export`;
    const secrets = h("input", {
      type: "checkbox",
      onchange: () => {
        this.secrets = secrets.checked;
        this.told = `${one.id} again`;
        this.ask(one.id);
      },
    });
    secrets.checked = this.secrets;
    return h(
      "div",
      { class: "bar" },
      button("copy", "curl", () => this.curl(one.id), { title: t("copy.curl"), "aria-label": t("copy.curl") }),
      h(
        "a",
        {
          class: "asbutton",
          href: at + asQuery({ format: "har", secrets: this.secrets || "" }),
          download: `${one.id}.har`,
        },
        icon("down"),
        "HAR",
      ),
      button("replay", t("inspect.replay"), () => this.replay(one.id, {})),
      button("replay", t("inspect.edit"), () => this.edit(one).catch(failed)),
      h("label", { class: "does" }, secrets, " ", t("inspect.secrets")),
    );
  }

  async curl(id) {
    const answer = await fetch(
      `/api/v1/inspection/requests/${id}/export${asQuery({ format: "curl", secrets: this.secrets || "" })}`,
    );
    if (answer.ok) copy(await answer.text());
    else notice("bad", t("fault"));
  }

  async edit({ id }) {
    // what is masked on the screen must not be sent as it reads there
    const { method, path, request } = await get(`/inspection/requests/${id}`, { secrets: true });
    const body = request.body?.text ?? "";
    const fields = [
      { name: "method", label: t("method"), value: method },
      { name: "path", label: t("path"), value: path },
      { name: "headers", label: t("inspect.set"), value: "", rows: 3, placeholder: "X-Name: value" },
      ...(request.body && request.body.text === null
        ? []
        : [{ name: "body", label: t("inspect.body"), value: body, rows: 8 }]),
    ];
    const told = await form(t("inspect.edit"), t("inspect.edit.about"), fields, t("inspect.send"));
    if (!told) return;
    const lines = told.headers.split("\n").filter((line) => line.includes(":"));
    const set = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(":")).trim(), line.slice(line.indexOf(":") + 1).trim()]),
    );
    const changed = told.body !== undefined && told.body.replaceAll("\r\n", "\n") !== body.replaceAll("\r\n", "\n");
    this.replay(id, {
      method: told.method,
      path: told.path,
      ...(lines.length ? { set } : {}),
      ...(changed ? { body: told.body } : {}),
    });
  }

  async replay(id, change) {
    try {
      const made = await post(`/inspection/requests/${id}/replay`, change);
      notice("good", t("inspect.replayed", { status: made.status ?? "…" }));
      go("inspect", { id: made.id });
    } catch (problem) {
      failed(problem);
    }
  }
}

function facts(one) {
  const { request, wait, response } = one.timing ?? {};
  const found = [
    ["service", one.service],
    ["route.went", one.route && routeBadge(one.route)],
    ["duration", duration(one.duration)],
    ["inspect.timing", one.timing && [request, wait, response].map(duration).join(" · ")],
  ];
  return h(
    "dl",
    { class: "facts" },
    ...found
      .filter(([, value]) => value)
      .map(([word, value]) => h("div", {}, h("dt", {}, t(word)), h("dd", {}, value))),
  );
}

function side(title, { http_version, headers, trailers, body }) {
  const told = [h("h2", {}, `${title} · ${http_version}`), heads(headers, title), bodyOf(body)];
  if (trailers?.length) told.splice(2, 0, heads(trailers, `${title}, trailers`));
  return h("section", {}, ...told);
}

const heads = (fields, whose) =>
  h(
    "div",
    { class: "scroll short", tabindex: 0, role: "region", "aria-label": `${t("inspect.headers")}: ${whose}` },
    h(
      "table",
      { class: "heads" },
      h(
        "tbody",
        {},
        ...fields.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value))),
      ),
    ),
  );

function bodyOf(body) {
  if (!body || !body.bytes) return h("p", { class: "does" }, t("inspect.nobody"));
  const about = [size(body.bytes), body.kept < body.bytes && t("inspect.kept", { kept: size(body.kept) }), body.note]
    .filter(Boolean)
    .join(" · ");
  const shown = body.text === null || body.text === undefined ? body.base64 : pretty(body.text);
  return h(
    "div",
    {},
    h(
      "p",
      { class: "does bar" },
      about,
      button("copy", t("copy"), () => copy(body.text ?? body.base64), { bare: true }),
    ),
    h("pre", { class: "block", tabindex: 0, translate: "no" }, shown),
  );
}

/** JSON as people read it; anything else as it came. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function messages(all) {
  const line = (one) =>
    h(
      "li",
      {},
      h("span", { class: "mono does" }, clock(one.at, true)),
      h(
        "span",
        { class: `badge ${one.from === "client" ? "link" : "good"}` },
        icon(one.from === "client" ? "up" : "down"),
        t(`inspect.${one.from}`),
      ),
      h("code", {}, one.text ?? one.base64),
    );
  return h(
    "section",
    {},
    h("h2", {}, t("inspect.messages", { n: all.length })),
    h("ol", { class: "marks" }, ...all.map(line)),
  );
}
