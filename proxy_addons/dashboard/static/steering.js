// Start, stop, restart: who is asked, what is shown meanwhile, and the failure's own words.

import { post } from "./api.js";
import { model, tell } from "./model.js";
import { failed, say } from "./notices.js";
import { t } from "./words.js";

/** `targets`: what the API is told. `names`: the services that wait for it. True where it was done. */
export async function steer(verb, targets, names = targets) {
  for (const name of names) {
    model.pending.set(name, verb);
    model.failures.delete(name);
  }
  tell("services");
  const who = targets.join(", ");
  say(`${who}: ${t(`doing.${verb}`)}`);
  try {
    await post(`/services/${verb}`, { targets });
    return true;
  } catch (problem) {
    for (const name of names) model.failures.set(name, problem);
    failed(problem, t(`failed.${verb}`, { name: who }));
    return false;
  } finally {
    for (const name of names) model.pending.delete(name);
    tell("services");
  }
}
