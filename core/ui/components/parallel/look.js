// Colours, taken from the page's theme, and the lines.

class Look {
  constructor(element) {
    const style = getComputedStyle(element);
    const theme = (name, otherwise) => style.getPropertyValue(`--st-${name}`).trim() || otherwise;
    const list = (name, otherwise) => theme(name, otherwise).split(/,(?![^(]*\))/).map((c) => c.trim());
    this.text = theme("text-color", "#31333f");
    this.back = theme("background-color", "#ffffff");
    this.categories = list("chart-categorical-colors", "#4477AA,#EE7733,#228833,#CC3311,#AA3377");
    const amounts = list("chart-sequential-colors", "#440154,#414487,#2A788E,#22A884,#7AD151,#FDE725");
    const hidden = Math.round(amounts.length / 5); // the end that the background swallows
    this.amounts = dark(this.back) ? amounts.slice(hidden) : amounts.slice(0, -hidden);
    this.none = "#888888";
  }

  amount(share) {
    const at = Math.min(Math.max(share, 0), 1) * (this.amounts.length - 1);
    const below = Math.min(Math.floor(at), this.amounts.length - 2);
    const [a, b] = [rgb(this.amounts[below]), rgb(this.amounts[below + 1])];
    return `rgb(${a.map((part, k) => Math.round(part + (b[k] - part) * (at - below))).join(" ")})`;
  }

  ofValue(scale, value) {
    if (typeof value === "string") return this.none;
    if (scale.type === "category") return this.categories[value % this.categories.length];
    return this.amount(scale.share(value));
  }
}

function rgb(colour) {
  const digits = /^#([0-9a-f]{6})/i.exec(colour)?.[1];
  if (digits) return [0, 2, 4].map((k) => parseInt(digits.slice(k, k + 2), 16));
  return (colour.match(/[\d.]+/g) ?? [128, 128, 128]).slice(0, 3).map(Number);
}

function dark(colour) {
  const [red, green, blue] = rgb(colour);
  return 0.3 * red + 0.59 * green + 0.11 * blue < 128;
}

// Lines of all runs, faint: what stays of those that are not kept. points: of each [x, y, x, y, …].
function drawAll(pen, look, points) {
  pen.lineWidth = 1;
  pen.globalAlpha = Math.min(0.12, 30 / points.length);
  pen.strokeStyle = look.text;
  points.forEach((line) => drawLine(pen, line));
  pen.globalAlpha = 1;
}

function drawKept(pen, points, kept, colours) {
  const shown = kept.reduce((count, is) => count + is, 0);
  pen.lineJoin = "round";
  pen.lineWidth = shown > 200 ? 1 : 1.5;
  pen.globalAlpha = Math.max(0.3, Math.min(0.85, 100 / shown));
  points.forEach((line, run) => {
    if (!kept[run]) return;
    pen.strokeStyle = colours[run];
    drawLine(pen, line);
  });
  pen.globalAlpha = 1;
}

function drawLine(pen, line) {
  pen.beginPath();
  trace(pen, line);
  pen.stroke();
}

function trace(pen, line) {
  pen.moveTo(line[0], line[1]);
  for (let k = 2; k < line.length; k += 2) pen.lineTo(line[k], line[k + 1]);
  if (line.length === 2) pen.lineTo(line[0] + 12, line[1]); // a single axis
}

function drawMarked(pen, look, line, colour) {
  pen.lineJoin = "round";
  for (const [width, stroke] of [[6, look.back], [3, colour]]) {
    pen.lineWidth = width;
    pen.strokeStyle = stroke;
    drawLine(pen, line);
  }
  pen.fillStyle = colour;
  for (let k = 0; k < line.length; k += 2) {
    pen.beginPath();
    pen.arc(line[k], line[k + 1], 4, 0, 2 * Math.PI);
    pen.fill();
  }
}
