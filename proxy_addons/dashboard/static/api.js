// The HTTP API (docs/http-api.md). What fails is a `Problem`, with the words of the answer.

const ROOT = "/api/v1";

export class Problem extends Error {
  constructor(status, detail, hint = "") {
    super(detail);
    this.status = status;
    this.hint = hint;
  }
}

async function ask(method, path, body) {
  const asked = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    asked.headers["Content-Type"] = "application/json";
    asked.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(ROOT + path, asked);
  } catch {
    throw new Problem(0, "", "stores status");
  }
  const told = answer.headers.get("Content-Type")?.includes("json") ? await answer.json() : null;
  if (!answer.ok) throw new Problem(answer.status, told?.detail ?? answer.statusText, told?.hint);
  return told;
}

/** `query`: members that are null or empty are left out. */
export function get(path, query = {}) {
  return ask("GET", path + asQuery(query));
}

export function asQuery(query) {
  const known = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return known.length ? `?${new URLSearchParams(known)}` : "";
}

export const post = (path, body = {}) => ask("POST", path, body);
export const remove = (path, body) => ask("DELETE", path, body);

let document;

/** Whether this gateway has an operation, so that nothing is offered that is not there. */
export async function has(method, path) {
  document ??= get("/openapi.json").catch(() => ({ paths: {} }));
  return Boolean((await document).paths[ROOT + path]?.[method.toLowerCase()]);
}

export const streamAddress = (query) => `${ROOT}/stream${asQuery(query)}`;
