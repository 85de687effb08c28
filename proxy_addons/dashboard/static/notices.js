// What is said aloud to who cannot see it change, and what failed.

import { button, h, icon } from "./dom.js";
import { t } from "./words.js";

const said = document.getElementById("said");
const notices = document.getElementById("notices");
/** Milliseconds for which good news stay; bad news stay until they are closed. */
const STAYS = 4000;

let waiting = [];

/** Told to screen readers, several at once as one sentence. */
export function say(sentence) {
  waiting.push(sentence);
  if (waiting.length > 1) return;
  setTimeout(() => {
    said.textContent = waiting.slice(-4).join(". ");
    waiting = [];
  }, 150);
}

export function notice(tone, title, more = "", hint = "") {
  const sign = { bad: "warning", good: "check" }[tone] ?? "note";
  const body = h("div", {}, h("strong", {}, title), more && h("p", {}, more), hint && h("p", { class: "does" }, hint));
  const element = h(
    "div",
    { class: "notice", role: tone === "bad" ? "alert" : null },
    icon(sign, { class: `icon ${tone}` }),
    body,
  );
  element.append(button("close", t("close"), () => element.remove(), { bare: true }));
  notices.append(element);
  while (notices.childElementCount > 4) notices.firstElementChild.remove();
  if (tone !== "bad") {
    say(title);
    setTimeout(() => element.remove(), STAYS);
  }
}

/** A request that failed, in its own words. */
export function failed(problem, title = t("fault")) {
  const unreachable = problem.status === 0;
  notice("bad", unreachable ? t("unreachable") : title, problem.message, problem.hint);
}

export async function copy(value) {
  try {
    await navigator.clipboard.writeText(value);
  } catch {
    // no permission, or plain http under another name: the old way still works there
    const area = h("textarea", { class: "unseen" }, value);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  notice("good", t("copied"));
}

/** A line to type, with a button that copies it. */
export function command(line) {
  return h(
    "span",
    { class: "command" },
    h("code", { translate: "no" }, line),
    button("copy", t("copy"), () => copy(line), { bare: true }),
  );
}
