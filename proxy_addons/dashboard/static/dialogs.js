// Questions, and the list of shortcuts. A dialog of the browser's own keeps the focus inside and gives it back.

import { remove } from "./api.js";
import { button, h } from "./dom.js";
import { keysOn, setKeys, shortcuts } from "./keyboard.js";
import { failed } from "./notices.js";
import { t } from "./words.js";

function open(dialog) {
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.showModal();
  return dialog;
}

/** Whether it was agreed to. */
export function sure(question, verb) {
  return new Promise((resolve) => {
    const yes = button(null, verb, () => dialog.close("yes"), { class: "main" });
    const bar = h(
      "div",
      { class: "bar" },
      h("span", { class: "end" }),
      button(null, t("cancel"), () => dialog.close()),
      yes,
    );
    const dialog = h("dialog", { "aria-label": question }, h("p", {}, question), bar);
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
    open(dialog);
    yes.focus();
  });
}

/** A small form; `fields` are {name, label, value, type}. The values, or null. */
export function form(title, about, fields, verb) {
  return new Promise((resolve) => {
    const inputs = fields.map(({ name, label, value, ...more }) =>
      h(
        "label",
        {},
        h("span", {}, label),
        more.rows ? h("textarea", { name, ...more }, value) : h("input", { name, value, ...more }),
      ),
    );
    const done = h("button", { class: "main", value: "yes" }, verb);
    const bar = h(
      "div",
      { class: "bar" },
      h("span", { class: "end" }),
      button(null, t("cancel"), () => dialog.close()),
      done,
    );
    const filled = h("form", { method: "dialog", class: "fields" }, ...inputs, bar);
    const dialog = h("dialog", { "aria-label": title }, h("h2", {}, title), h("p", { class: "does" }, about), filled);
    dialog.addEventListener("close", () =>
      resolve(dialog.returnValue === "yes" ? Object.fromEntries(new FormData(filled)) : null),
    );
    open(dialog);
  });
}

export function help() {
  if (document.querySelector("dialog[open]")) return;
  const rows = shortcuts.map(([keys, word]) =>
    h(
      "li",
      {},
      h(
        "span",
        {},
        keys.flatMap((key) => [h("kbd", {}, key), " "]),
      ),
      t(word),
    ),
  );
  const box = h("input", { type: "checkbox", id: "single-keys", onchange: () => setKeys(box.checked) });
  box.checked = keysOn();
  const title = h(
    "div",
    { class: "bar" },
    h("h1", {}, t("help")),
    button("close", t("close"), () => dialog.close(), { bare: true, class: "end" }),
  );
  const dialog = h(
    "dialog",
    { "aria-label": t("help"), id: "help" },
    title,
    h("ul", { class: "keys" }, ...rows),
    h(
      "div",
      { class: "bar" },
      h("label", { class: "does" }, box, " ", t("keys.single")),
      button(null, t("sign.out"), signOut, { class: "end" }),
    ),
  );
  open(dialog);
}

async function signOut() {
  try {
    await remove("/session");
    location.assign("/");
  } catch (problem) {
    failed(problem);
  }
}
