// The status of an answer, as every list and page of requests shows it.

import { h } from "./dom.js";
import { isIll } from "./timeline.js";

/** A tick, an arrow, a cross beside the number: it is read without its colour. */
export function statusOf(one) {
  const tone = isIll(one) ? "bad" : one.status >= 400 ? "wait" : one.status ? "good" : "plain";
  return h(
    "span",
    { class: `code ${tone}`, title: one.error || null },
    one.status ? `${one.status}${isIll(one) ? " ✕" : ""}` : one.error ? "✕" : "…",
  );
}
