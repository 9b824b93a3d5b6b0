// What is said of a box, and what the colours mean. All text is set as text.

function factsOf(item) {
  const names = ["parameters", "multiply-adds", "written", "dead units"];
  const kind = item.group ? `${item.operator || "layer"}, ${item.size} operations` : item.operator;
  const said = names.map((name, index) => (
    item.values[index] ? `${measured(item.values, index)} ${name}` : ""
  ));
  return [item.layer || "the network itself", kind, item.shape, ...said].filter((words) => words);
}

function drawLegend(place, palette, operators) {
  const entry = (words, style, kind = "") => {
    const [span, sign] = [document.createElement("span"), document.createElement("i")];
    sign.className = kind;
    sign.style.background = style;
    span.append(sign, words);
    return span;
  };
  if (palette.measure >= 0) {
    const [colour] = palette.categories;
    const darkest = `color-mix(in srgb, ${colour} ${100 * DARKEST}%, transparent)`;
    const scale = `linear-gradient(90deg, transparent, ${darkest})`;
    const most = measured({ [palette.measure]: palette.most }, palette.measure);
    place.replaceChildren(entry(`0 to ${most} in one box`, scale, "scale"));
    return;
  }
  const named = operators.filter(([operator]) => palette.ofOperator.has(operator));
  const others = operators.length - named.length;
  const entries = named.map(([operator, count]) => (
    entry(`${operator} ${count}`, palette.ofOperator.get(operator))
  ));
  if (others) entries.push(entry(`${others} other operators`, palette.line));
  place.replaceChildren(...entries);
}
