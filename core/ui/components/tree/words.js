// A value as people read it, and how wide a column must be for its values.

const AMOUNTS = new Set(["number", "bytes", "share", "milliseconds"]);
const LETTER = 6.6; // pixels
const WIDEST = 260;
const whole = new Intl.NumberFormat("en");

function said(kind, value) {
  if (value === null || value === "") return "";
  if (kind === "number") return whole.format(value);
  if (kind === "share") return share(value);
  if (kind === "milliseconds") return `${value.toPrecision(3)} ms`;
  return kind === "bytes" ? bytes(value) : String(value);
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

function width(column) {
  if (column.kind === "share") return 140;
  const longest = column.values.reduce((most, value) => Math.max(most, said(column.kind, value).length), column.title.length + 2);
  return Math.min(WIDEST, Math.ceil(longest * LETTER) + 20);
}

// Of the first column, whose labels are indented; at most half of what there is.
function firstWidth(rows, indents, step, room) {
  const longest = rows.labels.reduce((most, label, row) => Math.max(most, label.length * LETTER + indents[row] * step), 0);
  return Math.min(Math.max(150, longest + 56), Math.max(150, room * 0.45));
}
