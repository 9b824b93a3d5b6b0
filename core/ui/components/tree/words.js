// A value as people read it, and how wide a column must be for its values.

const AMOUNTS = new Set(["number", "decimal", "bytes", "share", "percent", "milliseconds"]);
const BESIDE = 16; // pixels around the words of a cell, as in the style
const ARROW = 12; // of a heading that sorts
const MEASURED = 8; // the values with the most letters: one of them is the widest, or nearly
const WIDEST = { text: 260, name: 150 };
const NARROW = 560; // pixels of a table, below which names leave room for the first figures
const whole = new Intl.NumberFormat("en");

function said(kind, value) {
  if (value === null || value === "") return "";
  if (kind === "decimal") return decimal(value);
  if (kind === "number") return whole.format(value);
  if (kind === "share" || kind === "percent") return share(value);
  if (kind === "milliseconds") return `${value.toPrecision(3)} ms`;
  return kind === "bytes" ? bytes(value) : String(value);
}

// Three digits, whatever the size.
function decimal(value) {
  const size = Math.abs(value);
  return value === 0 || (size >= 0.001 && size < 100000) ? String(Number(value.toPrecision(3))) : value.toExponential(2);
}

// Some, however little, is not none.
function share(value) {
  if (value > 0 && value < 0.00005) return "< 0.01 %";
  return `${(100 * value).toFixed(value === 0 ? 0 : value < 0.0995 ? 2 : 1)} %`;
}

function bytes(size) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; size >= 1000 && unit < units.length - 1; unit++) size /= 1000;
  return `${unit && size < 100 ? size.toPrecision(3) : Math.round(size)} ${units[unit]}`;
}

// room: pixels of the table. pen: of a canvas, with the font of the table.
function width(column, room, pen) {
  if (column.kind === "share") return 110;
  const title = pen.measureText(column.title).width + ARROW;
  const words = column.values.map((value) => said(column.kind, value));
  const alike = AMOUNTS.has(column.kind) ? words.map((one) => one.replace(/\d/g, "0")) : words; // digits are equally wide
  const widest = Math.max(title, ...longest([...new Set(alike)], (one) => one.length).map((one) => pen.measureText(one).width));
  const most = column.kind === "name" && room < NARROW ? 0.31 * room : (WIDEST[column.kind] ?? WIDEST.text);
  return Math.min(most, Math.ceil(widest) + BESIDE);
}

function longest(values, size) {
  const most = values.reduce((all, one) => Math.max(all, size(one)), 0);
  return values.filter((one) => size(one) > most - 2).slice(0, MEASURED);
}

// Of the first column, whose labels are indented.
function firstWidth(rows, indents, step, room, pen) {
  const letters = 6; // pixels of one, nearly: to find those that are measured
  const nearly = (row) => rows.labels[row].length * letters + indents[row] * step;
  const found = longest(rows.labels.map((_, row) => row), nearly);
  const widest = Math.max(0, ...found.map((row) => pen.measureText(rows.labels[row]).width + indents[row] * step));
  const [least, share] = room < NARROW ? [130, 0.43] : [150, 0.3];
  return Math.min(Math.max(least, Math.ceil(widest) + 44), Math.max(least, room * share));
}
