// The one stream of changes. Closed while nobody looks (the gateway then measures and notes nothing), and opened again by
// itself, ever more slowly, when the gateway is gone.

import { Problem, get, streamAddress } from "./api.js";

const EVENTS = [
  "problem",
  "services",
  "change",
  "metrics",
  "states",
  "logs-begin",
  "logs",
  "traffic",
  "event",
  "subscriptions",
  "health",
  "inspection",
  "inspected",
];
/** Seconds between two tries: from the first to the longest. */
const FIRST = 0.5;
const LONGEST = 5;

export class Stream {
  #source = null;
  #query = null;
  #timer = 0;
  #wait = FIRST;

  /** `hear(event, data)`; `tell("live" | "lost" | "asleep" | "stranger", problem)`. */
  constructor(hear, tell) {
    this.hear = hear;
    this.tell = tell;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#sleep() : this.again()));
    addEventListener("online", () => this.again());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", (event) => event.persisted && this.again());
  }

  /** What to hear of from now on. */
  want(query) {
    const changed = JSON.stringify(query) !== JSON.stringify(this.#query);
    this.#query = query;
    if (changed) this.again();
  }

  /** What is wanted next begins anew, even if it is the same. */
  forget() {
    this.#query = null;
  }

  /** Now, and not only when its time has come. */
  again() {
    this.#wait = FIRST;
    this.#open();
  }

  #open() {
    this.#close();
    if (document.hidden || this.#query === null) return;
    const source = new EventSource(streamAddress(this.#query));
    this.#source = source;
    source.onopen = () => {
      this.#wait = FIRST;
      this.tell("live");
    };
    source.onerror = () => this.#failed(source);
    for (const event of EVENTS) source.addEventListener(event, (told) => this.hear(event, JSON.parse(told.data)));
  }

  // An EventSource does not say why. So the API is asked once: not signed in, or not there.
  async #failed(source) {
    source.close();
    if (source !== this.#source) return;
    try {
      // it answers: then what was wanted was wrong, as a service that is gone; the view may know it now
      this.hear("services", await get("/services"));
      this.tell("lost");
    } catch (problem) {
      if (source !== this.#source) return;
      const refused = problem instanceof Problem && (problem.status === 401 || problem.status === 403);
      this.tell(refused ? "stranger" : "lost", problem);
      if (refused) return;
    }
    this.#timer = setTimeout(() => this.#open(), this.#wait * 1000 * (0.8 + Math.random() * 0.4));
    this.#wait = Math.min(this.#wait * 2, LONGEST);
  }

  #sleep() {
    this.#close();
    this.tell("asleep");
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }
}
