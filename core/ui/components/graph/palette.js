// Colours of boxes, and figures in words.

const DARKEST = 0.55; // opacity of the largest value, so that words stay readable
const MEASURES = ["parameters", "multiply_adds", "memory", "dead"];
const UNITS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

function compact(number) {
  const found = UNITS.find(([size]) => number >= size);
  return found ? `${Number((number / found[0]).toPrecision(3))} ${found[1]}` : String(number);
}

function measured(values, measure) {
  if (MEASURES[measure] === "dead") return `${Number((100 * values[measure]).toPrecision(3))} %`;
  const words = compact(values[measure]);
  if (MEASURES[measure] !== "memory") return words;
  return values[measure] < 1000 ? `${words} B` : `${words}B`; // 4.8 MB
}

// Colours, taken from the page's theme, of the operators or of one of the measures.
class Palette {
  constructor(element, operators, colouring, boxes) {
    const style = getComputedStyle(element);
    const theme = (name, otherwise) => style.getPropertyValue(`--st-${name}`).trim() || otherwise;
    this.back = theme("background-color", "#ffffff");
    this.panel = theme("secondary-background-color", "#f0f2f6");
    this.text = theme("text-color", "#31333f");
    this.line = theme("border-color", "#cccccc");
    this.accent = theme("primary-color", "#ff4b4b");
    this.font = theme("font", "sans-serif");
    const colours = theme("chart-categorical-colors", "#0068c9,#ff2b2b,#29b09d,#ff8700,#6d3fc0");
    this.categories = colours.split(/,(?![^(]*\))/);
    this.measure = MEASURES.indexOf(colouring);
    this.ofOperator = new Map();
    operators.slice(0, this.categories.length).forEach(([operator], index) => {
      this.ofOperator.set(operator, this.categories[index]);
    });
    const least = MEASURES[this.measure] === "dead" ? 0.01 : 1; // so that little is not dark
    this.most = Math.max(least, ...boxes.map((box) => box.item.values[this.measure] ?? 0));
  }

  // Colour and opacity of a box.
  fill(item) {
    if (this.measure >= 0) {
      return [this.categories[0], DARKEST * ((item.values[this.measure] ?? 0) / this.most)];
    }
    const colour = item.group ? null : this.ofOperator.get(item.operator);
    return colour ? [colour, 0.3] : [this.line, 0.25];
  }

  edge(item) {
    if (item.group) return this.text;
    return (this.measure < 0 && this.ofOperator.get(item.operator)) || this.line;
  }

  subtitle(item) {
    if (this.measure < 0) return item.shape;
    const known = item.values[this.measure];
    return known || (known === 0 && MEASURES[this.measure] === "dead") ? measured(item.values, this.measure) : "–";
  }
}
