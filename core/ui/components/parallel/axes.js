// The axes as SVG: line, ticks, places for what is no number, brushes. All text is set as text.

const STRIP = 32; // pixels wide, where an axis is brushed

function svgElement(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 6)}…${text.slice(-5)}` : text;
}

function axisOf(scale, x, brush, most, last) {
  const group = svgElement("g", { class: "axis", transform: `translate(${x} 0)` });
  group.append(svgElement("line", { y1: scale.top, y2: scale.bottom }));
  const side = last ? { x: -7, "text-anchor": "end" } : { x: 7 };
  for (const value of [...scale.ticks(), ...scale.words]) {
    const y = scale.y(value);
    group.append(svgElement("line", { x1: -3, x2: 3, y1: y, y2: y }));
    group.append(svgElement("text", { ...side, y: y + 4 }, cut(scale.text(value), most)));
  }
  if (scale.words.length) {
    const ends = { y1: scale.bottom + APART / 2, y2: scale.end };
    group.append(svgElement("line", { ...ends, class: "gap" }));
  }
  for (const [from, to] of brush ? scale.stretches(brush) : []) {
    const height = Math.max(4, to - from);
    group.append(svgElement("rect", { class: "brush", x: -8, y: from, width: 16, height, rx: 3 }));
  }
  group.append(svgElement("rect", {
    class: "strip", x: -STRIP / 2, y: scale.top - 8, width: STRIP, height: scale.end - scale.top + 16,
  }));
  return group;
}

function drawLegend(element, look, view) {
  const scale = view.scaleOf(view.colouring);
  if (!scale) return element.replaceChildren();
  const span = (text) => Object.assign(document.createElement("span"), { textContent: text });
  const chip = (colour, text) => {
    const entry = span(text);
    const mark = document.createElement("i");
    mark.style.background = colour;
    entry.prepend(mark);
    return entry;
  };
  const parts = scale.words.map((word) => chip(look.none, word));
  if (scale.type === "category") {
    const names = scale.axis.categories;
    const shown = names.slice(0, look.categories.length);
    parts.unshift(...shown.map((name, k) => chip(look.categories[k], cut(name, 24))));
    if (names.length > shown.length) parts.push(span(`${names.length} values share ${shown.length} colours`));
  } else if (scale.any) {
    const bar = document.createElement("i");
    bar.className = "amounts";
    bar.style.background = `linear-gradient(to right, ${look.amounts.join(", ")})`;
    parts.unshift(span(numberText(scale.low)), bar, span(numberText(scale.high)));
  }
  return element.replaceChildren(...parts);
}
