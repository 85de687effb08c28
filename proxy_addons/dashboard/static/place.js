// Where one is: a view, and what of it, in the address; so that a reload, a link and the back button do what they should.

export const VIEWS = ["services", "logs", "map", "requests", "inspect", "events", "identities", "doctor"];

const told = new Set();

export function place() {
  const view = location.pathname.split("/")[1] || "services";
  return {
    view: VIEWS.includes(view) ? view : "services",
    query: Object.fromEntries(new URLSearchParams(location.search)),
  };
}

export function address(view, query = {}) {
  const known = Object.entries(query).filter(([, value]) => value);
  return `/${view}${known.length ? `?${new URLSearchParams(known)}` : ""}`;
}

export function go(view, query) {
  history.pushState(null, "", address(view, query));
  moved();
}

/** The same view, told otherwise, without a step of its own for the back button. */
export function refine(query) {
  const here = place();
  const kept = Object.fromEntries(Object.entries({ ...here.query, ...query }).filter(([, value]) => value));
  history.replaceState(null, "", address(here.view, kept));
}

export function onMove(listener) {
  told.add(listener);
}

const moved = () => told.forEach((listener) => listener(place()));

addEventListener("popstate", moved);
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  if (
    !link ||
    link.target ||
    link.download ||
    event.defaultPrevented ||
    event.button ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey
  )
    return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  moved();
});
