// The page: one view at a time, fed by one stream. A view is a module with `open()`, which gives an object of
//   element            what is shown
//   topics             what it wants of the stream, beside the services
//   parameters()       what else the stream shall know, if anything
//   arrive(query)      the address says this; also when it changes while the view is shown
//   update(kinds)      the model has changed: called once a frame
//   hear(event, data)  what is no part of the model
//   keys               single keys, by key
//   close()            the view is left

import { has } from "./api.js";
import { Frame } from "./frame.js";
import { viewKeys } from "./keyboard.js";
import { heard, listen, model, tell } from "./model.js";
import { say } from "./notices.js";
import { go, onMove, place, VIEWS } from "./place.js";
import { door, useTicket } from "./sign_in.js";
import { Stream } from "./stream.js";
import { t } from "./words.js";
import * as services from "./services.js";

const main = document.getElementById("view");
/** The first view comes with the page, the others when they are gone to. */
const LOAD = Object.fromEntries(VIEWS.map((view) => [view, () => import(`./${view}.js`)]));
LOAD.services = async () => services;
/** Views of what a gateway may not have, and what tells whether it does. */
const GATED = { identities: "/identities", inspect: "/inspection" };

let problem = await useTicket();
const stream = new Stream(hear, connected);
const frame = new Frame(() => stream.again(), translated);
let shown = { name: "", close() {}, update() {} };

function hear(event, data) {
  if (event === "change") announce(data.services ?? []);
  heard(event, data);
  shown.hear?.(event, data);
}

function connected(state, why) {
  const before = model.connection;
  model.connection = state;
  model.problems.clear();
  tell("connection");
  if (state !== "stranger") return;
  leave();
  main.replaceChildren(door(before === "new" ? (problem ?? why) : why));
}

/** State changes, for who does not see them. */
function announce(changed) {
  for (const one of changed) {
    const before = model.services.get(one.name)?.state;
    if (before && before !== one.state) say(t("now.is", { name: one.name, state: t(`state.${one.state}`) }));
  }
}

function leave() {
  shown.close?.();
  stream.forget();
  viewKeys();
  shown = { name: "", close() {}, update() {} };
}

async function show(moved = false) {
  const { view, query } = place();
  if (GATED[view] && !(await has("GET", GATED[view]))) {
    go("services");
    return;
  }
  if (shown.name !== view) {
    const { open } = await LOAD[view]();
    if (place().view !== view) return;
    leave();
    shown = Object.assign(open(want), { name: view });
    main.replaceChildren(frame.banners, shown.element);
    viewKeys(shown.keys);
    if (moved) {
      main.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }
  shown.arrive?.(query);
  want();
  shown.update(new Set(["services", "metrics", "states", "traffic", "events", "subscriptions", "health", "inspection"]));
  frame.update();
}

/** What the view needs of the stream may change while it is shown. */
function want() {
  stream.want({ topics: ["services", "states", ...shown.topics].join(","), ...shown.parameters?.() });
}

function translated() {
  if (model.connection === "stranger") main.replaceChildren(door());
  else {
    leave();
    show();
  }
}

listen((kinds) => {
  frame.update();
  shown.update(kinds);
});
onMove(() => model.connection !== "stranger" && show(true));
for (const [view, path] of Object.entries(GATED)) {
  has("GET", path).then((there) => {
    if (there) frame.hidden.delete(view);
    frame.update();
  });
}
// a second `stores open` in the window that is open already only changes the fragment
addEventListener("hashchange", async () => {
  problem = await useTicket();
  show();
});
// or it opened another window, and one comes back to this one
document.addEventListener("visibilitychange", () => !document.hidden && model.connection === "stranger" && show());
await show();
