// A line of a program's output as spans: SGR (ECMA-48, 8.3.117) becomes class names, all else that a terminal obeys goes.
// As proxy_addons/fallback/ansi.py does it for the fallback page; nothing that a service prints can become markup.

const SEQUENCE =
  /\x1b\[([0-9;:]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b[ -/]*.|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;
const COLOURS = ["", "red", "green", "yellow", "blue", "magenta", "cyan", ""];
const STYLES = { 1: "bold", 2: "dim", 3: "italic", 4: "underline" };
const ENDS = { 22: [1, 2], 23: [3], 24: [4] };

/** [text, class names] for each look of the line. A progress bar that was drawn over and over stands as it stood last. */
export function spans(line) {
  const shown = line
    .replace(/[\r\n]+$/, "")
    .split("\r")
    .at(-1);
  const found = [];
  const look = { styles: new Set(), colour: "" };
  let at = 0;
  const add = (text) =>
    text && found.push([text, [...[...look.styles].map((one) => STYLES[one]), look.colour].filter(Boolean).join(" ")]);
  for (const match of shown.matchAll(SEQUENCE)) {
    add(shown.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[1] !== undefined) obey(look, match[1].split(/[;:]/).map(Number));
  }
  add(shown.slice(at));
  return found;
}

export const plain = (line) =>
  spans(line)
    .map(([text]) => text)
    .join("");

function obey(look, numbers) {
  while (numbers.length) {
    const number = numbers.shift();
    if (number === 0) {
      look.styles.clear();
      look.colour = "";
    } else if (STYLES[number]) look.styles.add(number);
    else if (ENDS[number]) ENDS[number].forEach((one) => look.styles.delete(one));
    else if (number >= 30 && number <= 37) look.colour = COLOURS[number - 30];
    else if (number >= 90 && number <= 97) look.colour = COLOURS[number - 90];
    else if (number === 38 || number === 48) {
      const colour = extended(numbers);
      if (number === 38) look.colour = colour;
    } else if (number === 39) look.colour = "";
  }
}

/** The nearest of the eight: they alone fit light and dark alike. Takes its numbers. */
function extended(numbers) {
  const kind = numbers.shift();
  if (kind === 2) return nearest(...numbers.splice(0, 3), 255);
  if (kind !== 5) return "";
  const number = numbers.shift() ?? 0;
  if (number < 16) return COLOURS[number % 8];
  return number >= 232
    ? ""
    : nearest(Math.floor((number - 16) / 36), Math.floor((number - 16) / 6) % 6, (number - 16) % 6, 5);
}

function nearest(red = 0, green = 0, blue = 0, most = 255) {
  const strongest = Math.max(red, green, blue);
  // a grey: the text's own colour is readable on either ground
  if ((strongest - Math.min(red, green, blue)) * 4 < most) return "";
  return COLOURS[[red, green, blue].reduce((sum, part, bit) => sum + (part * 3 >= strongest * 2 ? 1 << bit : 0), 0)];
}
