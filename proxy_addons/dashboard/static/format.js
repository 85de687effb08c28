// Numbers, times and sizes as people read them; short, so that columns stay narrow.

import { t, language } from "./words.js";

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "kB", "MB", "GB"];
  let at = 0;
  for (; bytes >= 1000 && at < units.length - 1; at += 1) bytes /= 1000;
  return `${at === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[at]}`;
}

export const percent = (value) => `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)} %`;

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const ms = seconds * 1000;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return seconds < 100 ? `${seconds.toFixed(seconds < 10 ? 2 : 1)} s` : span(seconds);
}

/** How long something has lasted, in one unit. */
export function span(seconds) {
  const steps = [
    ["seconds", 60],
    ["minutes", 60],
    ["hours", 24],
    ["days", Infinity],
  ];
  let rest = Math.max(0, seconds);
  for (const [unit, most] of steps) {
    if (rest < most) return t(unit, { n: Math.floor(rest) });
    rest /= most;
  }
  return "";
}

export const since = (at) => span(Date.now() / 1000 - at);

const two = (number, digits = 2) => String(number).padStart(digits, "0");

/** The time of day, for what has just happened. */
export function clock(at, thousandths = false) {
  const when = new Date(at * 1000);
  const plain = `${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
  return thousandths ? `${plain}.${two(when.getMilliseconds(), 3)}` : plain;
}

export const moment = (at) =>
  new Date(at * 1000).toLocaleString(language(), { dateStyle: "medium", timeStyle: "medium" });

export const rate = (value) => (value >= 10 ? String(Math.round(value)) : value.toFixed(value >= 1 ? 1 : 2));

/** A path of the workspace, from its folder. */
export const within = (path, folder) =>
  path === folder ? "." : folder && path?.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path;
