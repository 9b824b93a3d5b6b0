// Where a value of an axis lies, and which values a stretch of the axis covers.

const ROW = 17; // pixels of a place for what is no number
const APART = 14; // between the axis and those places
const FEW = 8; // different numbers that are all named

function numberText(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) {
    return value.toExponential(3).replace(/\.?0+e\+?/, "e");
  }
  return String(Number(value.toPrecision(4)));
}

function niceStep(span, most) {
  const rough = span / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  return size * [1, 2, 5, 10].find((part) => part * size >= rough);
}

class Scale {
  constructor(axis, type, flipped) {
    Object.assign(this, { axis, type, flipped });
    const numbers = axis.values.filter((value) => typeof value === "number");
    this.words = [...new Set(axis.values.filter((value) => typeof value === "string"))].sort();
    this.low = numbers.reduce((a, b) => Math.min(a, b), Infinity);
    this.high = numbers.reduce((a, b) => Math.max(a, b), -Infinity);
    this.bend = type === "log" ? Math.log10 : (value) => value;
    this.unbend = type === "log" ? (value) => 10 ** value : (value) => value;
  }

  get any() {
    return this.low <= this.high;
  }

  place(top, bottom) {
    [this.top, this.bottom] = [top, bottom];
    return this;
  }

  // 0 to 1, of a number.
  share(value) {
    if (this.type === "category") return 1 - (value + 0.5) / this.axis.categories.length;
    const [low, high] = [this.bend(this.low), this.bend(this.high)];
    return high > low ? (this.bend(value) - low) / (high - low) : 0.5;
  }

  y(value) {
    if (typeof value === "string") {
      return this.bottom + APART + (this.words.indexOf(value) + 0.5) * ROW;
    }
    const share = this.flipped ? 1 - this.share(value) : this.share(value);
    return this.bottom - share * (this.bottom - this.top);
  }

  get end() {
    return this.words.length ? this.bottom + APART + this.words.length * ROW : this.bottom;
  }

  ticks() {
    if (!this.any) return [];
    if (this.type === "category") return this.categoryTicks();
    const different = [...new Set(this.axis.values)].filter((value) => typeof value === "number");
    if (different.length <= FEW) return this.clear(different.sort((a, b) => a - b));
    const found = this.type === "log" ? this.logTicks() : this.linearTicks();
    return found.length > 1 ? found : [this.low, this.high];
  }

  // Those of some values, ascending, whose words do not touch.
  clear(values) {
    const heights = [];
    return values.filter((value) => {
      const free = heights.every((y) => Math.abs(y - this.y(value)) >= 13);
      if (free) heights.push(this.y(value));
      return free;
    });
  }

  categoryTicks() {
    const every = Math.ceil((this.axis.categories.length * 14) / (this.bottom - this.top));
    return this.axis.categories.map((_, place) => place).filter((place) => place % every === 0);
  }

  linearTicks() {
    const step = niceStep(this.high - this.low, 6);
    const first = Math.ceil(this.low / step - 1e-9);
    const last = Math.floor(this.high / step + 1e-9);
    if (!(last - first < 20)) return [];
    return Array.from({ length: last - first + 1 }, (_, k) => (first + k) * step);
  }

  logTicks() {
    const [first, last] = [Math.floor(Math.log10(this.low)), Math.ceil(Math.log10(this.high))];
    const every = Math.max(1, Math.ceil((last - first) / 8));
    const parts = last - first > 3 ? [1] : [1, 2, 5];
    const powers = Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, k) => first + k * every);
    return powers.flatMap((power) => parts.map((part) => part * 10 ** power))
      .filter((value) => value >= this.low * (1 - 1e-9) && value <= this.high * (1 + 1e-9));
  }

  text(value) {
    if (typeof value === "string") return value;
    return this.type === "category" ? this.axis.categories[value] : numberText(value);
  }

  // The values between two heights, as a brush; null where there are none.
  brush(from, to) {
    const words = this.words.filter((word) => this.y(word) >= from && this.y(word) <= to);
    const brush = words.length ? { words } : {};
    if (this.type === "category") {
      const among = this.axis.categories.filter((_, k) => this.y(k) >= from && this.y(k) <= to);
      if (among.length) brush.among = among;
    } else if (this.any && from <= this.bottom) {
      brush.range = this.range(Math.max(from, this.top), Math.min(to, this.bottom));
    }
    return Object.keys(brush).length ? brush : null;
  }

  range(from, to) {
    const value = (y) => {
      if (y <= this.top) return this.flipped ? this.low : this.high;
      if (y >= this.bottom) return this.flipped ? this.high : this.low;
      const up = (this.bottom - y) / (this.bottom - this.top);
      const share = this.flipped ? 1 - up : up;
      const [low, high] = [this.bend(this.low), this.bend(this.high)];
      return Number(this.unbend(low + share * (high - low)).toPrecision(6));
    };
    return [value(from), value(to)].sort((a, b) => a - b);
  }

  // Where a brush lies: [from, to] of each stretch.
  stretches(brush) {
    const found = (brush.words ?? []).filter((word) => this.words.includes(word))
      .map((word) => [this.y(word) - ROW / 2, this.y(word) + ROW / 2]);
    if (brush.range && this.any && this.type !== "category") {
      const ends = brush.range.map((end) => this.y(Math.min(Math.max(end, this.low), this.high)));
      found.push([Math.min(...ends) - 2, Math.max(...ends) + 2]);
    }
    const half = (this.bottom - this.top) / (this.axis.categories.length || 1) / 2;
    for (const name of brush.among ?? []) {
      const place = this.axis.categories.indexOf(name);
      if (place >= 0) found.push([this.y(place) - half, this.y(place) + half]);
    }
    return joined(found);
  }

  // Whether a brush keeps a value: as core.runs.hyperparameters.kept does.
  meets(value, brush) {
    if (typeof value === "string") return (brush.words ?? []).includes(value);
    if (this.type === "category") return (brush.among ?? []).includes(this.axis.categories[value]);
    return brush.range ? brush.range[0] <= value && value <= brush.range[1] : false;
  }
}

function joined(stretches) {
  const result = [];
  for (const [from, to] of stretches.sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && from <= last[1] + APART + 2) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}
