// A small plot of the last two minutes: a line with its area, scaled to its own highest value or to the least that shows.

import { attribute, h, s, text } from "./dom.js";

const WIDTH = 72;
const HEIGHT = 20;
const POINTS = 60;

export class Plot {
  /** `least`: the value that fills it at least, so that noise at rest is not drawn as mountains. */
  constructor(label, format, least) {
    this.format = format;
    this.least = least;
    this.area = s("path", { class: "area" });
    this.line = s("path", { class: "line" });
    this.value = h("span", { class: "value" });
    const picture = s(
      "svg",
      { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      this.area,
      this.line,
    );
    this.element = h("span", { class: "plotted" }, picture, h("span", { class: "unseen" }, `${label}: `), this.value);
  }

  update(values) {
    if (!values?.length) {
      text(this.value, "–");
      attribute(this.line, "d", null);
      attribute(this.area, "d", null);
      return;
    }
    text(this.value, this.format(values.at(-1)));
    const most = Math.max(this.least, ...values);
    const step = WIDTH / (POINTS - 1);
    const from = WIDTH - (values.length - 1) * step;
    const points = values.map(
      (value, index) =>
        `${(from + index * step).toFixed(1)} ${(HEIGHT - 1 - (value / most) * (HEIGHT - 3)).toFixed(1)}`,
    );
    const path = `M${points.join("L")}`;
    attribute(this.line, "d", path);
    attribute(this.area, "d", `${path}L${WIDTH} ${HEIGHT}L${from.toFixed(1)} ${HEIGHT}Z`);
  }
}
