// The lines of the logs that the page holds: the newest hundred thousand, and what was asked for from before them.

import { get } from "./api.js";

export const MOST = 100_000;
/** Lines that go at once when there are too many, so that they need not be moved at each new one. */
const AWAY = 5_000;
const PAGE = 1000;
/** Empty pages of a search that are gone through without being asked again. */
const PATIENCE = 20;

export class LogLines {
  constructor() {
    this.lines = [];
    this.before = null;
    this.loading = false;
    /** What was asked for before a change of targets or search must not arrive after it. */
    this.generation = 0;
  }

  begin(cursor) {
    this.lines = [];
    this.before = cursor;
    this.generation += 1;
    this.loading = false;
  }

  /** How many went away at the front. */
  add(lines, missed) {
    if (missed) this.lines.push({ missed });
    for (const line of lines) this.lines.push(line);
    if (this.lines.length <= MOST) return 0;
    this.lines.splice(0, this.lines.length - MOST + AWAY);
    this.before = null;
    return AWAY;
  }

  /** Asks for what stands before; how many lines came at the front, or null if there was nothing to ask for. */
  async older({ targets, q }) {
    if (this.loading || !this.before || this.lines.length > MOST - PAGE) return null;
    this.loading = true;
    const { generation } = this;
    let came = 0;
    try {
      for (let tries = 0; tries < PATIENCE && this.before && !came; tries += 1) {
        const page = await get("/logs", { targets, q, limit: PAGE, before: this.before });
        if (generation !== this.generation) return null;
        this.before = page.before;
        this.lines = page.lines.concat(this.lines);
        came += page.lines.length;
      }
    } finally {
      if (generation === this.generation) this.loading = false;
    }
    return came;
  }
}
