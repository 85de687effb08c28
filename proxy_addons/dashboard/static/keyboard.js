// Single keys, as in mail programs. They can be turned off (WCAG 2.1, 2.1.4), and mean nothing while one writes.

/** In the order of the list under "?": keys, and the name of the word that says what they do. */
export const shortcuts = [
  [["1", "…", "8"], "key.views"],
  [["/"], "key.filter"],
  [["j", "k"], "key.move"],
  [["Enter"], "key.details"],
  [["s"], "key.start"],
  [["x"], "key.stop"],
  [["r"], "key.restart"],
  [["o"], "key.logs"],
  [["f"], "key.follow"],
  [["Esc"], "key.close"],
  [["t"], "key.theme"],
  [["l"], "key.language"],
  [["?"], "key.help"],
];

const KEPT = "stores.keys";
const always = new Map();
let ofView = {};

export const keysOn = () => localStorage.getItem(KEPT) !== "off";
export const setKeys = (on) => localStorage.setItem(KEPT, on ? "on" : "off");

/** A key that holds in every view. */
export function onKey(key, does) {
  always.set(key, does);
}

/** The keys of the view that is shown, by key. What returns false did not take the key. */
export function viewKeys(keys = {}) {
  ofView = keys;
}

const writes = (element) => element.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]"))
    return;
  const writing = writes(event.target);
  if (event.key === "Escape") {
    if (writing) {
      writing.value = "";
      writing.dispatchEvent(new Event("input", { bubbles: true }));
      writing.blur();
    } else ofView.Escape?.();
    return;
  }
  if (writing || !keysOn()) return;
  if (event.key === "/") {
    const field = document.querySelector("#view input[type=search]");
    field?.focus();
    if (field) event.preventDefault();
    return;
  }
  // Enter and the arrows belong to what has the focus
  const does = ofView[event.key] ?? always.get(event.key);
  if (does && does(event) !== false) event.preventDefault();
});
