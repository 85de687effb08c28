// A view that a field of words narrows. The address keeps them: a reload and a link find the same.

import { place, refine } from "./place.js";

/** `about`: what of the model the view draws; `filter`: the field. Both are the subclass's. */
export class Narrowed {
  query = {};

  arrive(query) {
    this.query = query;
    if (document.activeElement !== this.filter) this.filter.value = query.q ?? "";
  }

  narrow(query) {
    refine(query);
    this.query = place().query;
    this.update(new Set([this.about]));
  }
}

/** Tells of a text whether it has every word of `q`. */
export function finder(q = "") {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  return (text) => {
    const low = text.toLowerCase();
    return words.every((word) => low.includes(word));
  };
}
