// The ticket of `stores open` becomes a cookie; who has neither is told what to type.

import { post } from "./api.js";
import { h } from "./dom.js";
import { command } from "./notices.js";
import { t } from "./words.js";

/** Takes the ticket out of the address. What was wrong with it, or null. */
export async function useTicket() {
  const ticket = new URLSearchParams(location.hash.slice(1)).get("ticket");
  if (!ticket) return null;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    await post("/session", { ticket });
    return null;
  } catch (problem) {
    return problem;
  }
}

export function door(problem) {
  const why = problem?.status === 401 || !problem?.message ? null : h("p", { class: "banner" }, problem.message);
  return h(
    "div",
    { class: "view" },
    h(
      "section",
      { class: "card pad enter" },
      h("h1", {}, t("enter.title")),
      h("p", {}, t("enter.text")),
      h("p", {}, command("stores open")),
      why,
      h("p", { class: "does" }, t("enter.stays")),
    ),
  );
}
