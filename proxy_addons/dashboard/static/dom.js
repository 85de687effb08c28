// Elements are made once and then only told what is another than before: a hundred services change twice a second.

const SVG = "http://www.w3.org/2000/svg";

/** An element. Facts are attributes; what begins with "on" listens; null and false are left out. Children: nodes, texts. */
export function h(tag, facts = {}, ...children) {
  return filled(document.createElement(tag), facts, children);
}

/** The same for what stands in a picture. */
export function s(tag, facts = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), facts, children);
}

function filled(element, facts, children) {
  for (const [name, value] of Object.entries(facts)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else attribute(element, name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value === true ? "" : value)) {
    element.setAttribute(name, value === true ? "" : value);
  }
}

export function text(element, value) {
  if (element.textContent !== String(value)) element.textContent = value;
}

export function show(element, shown) {
  if (element.hidden === Boolean(shown)) element.hidden = !shown;
}

/** Makes children out of items: kept by key, moved only where their order is another, and each updated. */
export function keyed(parent, items, key, make, update) {
  const kept = (parent.keyed ??= new Map());
  const wanted = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    wanted.add(name);
    let one = kept.get(name);
    if (!one) kept.set(name, (one = make(item)));
    const element = one.element ?? one;
    update?.(one, item);
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
  }
  for (const [name, one] of kept) {
    if (wanted.has(name)) continue;
    (one.element ?? one).remove();
    kept.delete(name);
  }
}

const PATHS = {
  services: "M4 6h10M4 12h10M4 18h10M19 6h.01M19 12h.01M19 18h.01",
  logs: "M5 5l5 5-5 5M12 19h7",
  map: "M6 9V15M9 6h6M8 16l8-8M3 6a3 3 0 1 0 6 0 3 3 0 1 0-6 0M15 6a3 3 0 1 0 6 0 3 3 0 1 0-6 0M3 18a3 3 0 1 0 6 0 3 3 0 1 0-6 0",
  requests: "M4 5h8M8 10h9M12 15h8M6 20h5",
  inspect: "M3 11a8 8 0 1 0 16 0 8 8 0 1 0-16 0M17 17l4.5 4.5M8 9l-2.5 2L8 13M14 9l2.5 2-2.5 2",
  events: "M13 3L5 13.5h6L10 21l8-10.5h-6z",
  identities: "M8 8a4 4 0 1 0 8 0 4 4 0 1 0-8 0M4.5 20.5c1-4 4-5.5 7.5-5.5s6.5 1.5 7.5 5.5",
  doctor: "M3 12h4l2.5-6.5 4.5 13L16.5 12H21",
  search: "M4 10.5a6.5 6.5 0 1 0 13 0 6.5 6.5 0 1 0-13 0M15.5 15.5L21 21",
  start: "M8 5.5v13l10.5-6.5z",
  stop: "M7 7h10v10H7z",
  restart: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3M19.5 3.5V8H15",
  close: "M6 6l12 12M18 6L6 18",
  open: "M13 5h6v6M19 5l-9 9M17 14v5H5V7h5",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  theme: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  help: "M9 9.2a3 3 0 1 1 4.3 2.7c-.9.5-1.3 1-1.3 2M12 17.5v.01M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0",
  here: "M5 5h14v10H5zM2.5 19h19",
  cloud: "M7 18.5a4.2 4.2 0 0 1-.4-8.4 5.6 5.6 0 0 1 10.8-.9A4.7 4.7 0 0 1 17.2 18.5z",
  down: "M12 5v14M6 13l6 6 6-6",
  up: "M12 19V5M6 11l6-6 6 6",
  pause: "M8 6v12M16 6v12",
  replay: "M4.5 12a7.5 7.5 0 1 0 2.2-5.3M4.5 3.5V8H9",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13",
  check: "M5 12.5l4.5 4.5L19 7",
  warning: "M12 4L2.8 20h18.4zM12 10v4.5M12 17.3v.01",
  note: "M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0M12 11v5.5M12 7.5v.01",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM9.5 12a2.5 2.5 0 1 0 5 0 2.5 2.5 0 1 0-5 0",
};

export function icon(name, facts = {}) {
  return s(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", ...facts },
    s("path", { d: PATHS[name] }),
  );
}

/** A button. Without words to show, its label is what is said of it, and its tooltip. */
export function button(sign, label, onclick, facts = {}) {
  const { bare = false, ...others } = facts;
  const named = bare ? { "aria-label": label, title: label } : {};
  const kind = [bare && "bare", others.class].filter(Boolean).join(" ") || null;
  return h(
    "button",
    { type: "button", ...named, ...others, class: kind, onclick },
    sign && icon(sign),
    bare ? null : label,
  );
}
