// The button that has a service looked into, wherever it is named; hidden where this gateway cannot.

import { has, post } from "./api.js";
import { button, show } from "./dom.js";
import { failed } from "./notices.js";
import { go } from "./place.js";
import { t } from "./words.js";

export function inspectButton(service) {
  const made = button("eye", t("inspect"), () => inspect(service), { hidden: true });
  if (service) has("GET", "/inspection").then((there) => show(made, there));
  return made;
}

async function inspect(service) {
  try {
    await post("/inspection/on", { targets: [service] });
    go("inspect");
  } catch (problem) {
    failed(problem);
  }
}
