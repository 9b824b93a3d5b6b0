// What is looked for, and the way to it: what it lies in is unfolded, and it comes to the middle.

function reveal(view, item) {
  if (!item) return;
  let folded = false;
  for (let outer = item.parent; outer.parent; outer = outer.parent) {
    folded ||= !view.unfolded.has(outer.id);
    view.unfolded.add(outer.id);
  }
  view.fitted = false;
  if (folded) view.arrange();
  view.select(item);
  const box = view.view.boxes.get(item.id);
  const zoom = view.at.zoom < SMALL ? 0.9 : view.at.zoom;
  const middle = box.Y + Math.min(box.h, (view.height ?? 0) / zoom) / 2;
  const [x, y] = [(view.width ?? 0) / 2, (view.height ?? 0) / 2];
  view.at = { zoom, x: x - (box.X + box.w / 2) * zoom, y: y - middle * zoom };
  view.repaint();
}

// Whether an item has each word of a search in its names, operator or shape, as the table of layers
// has it: quotes for the whole, numbers with commas for consecutive sides.
function searched(text) {
  const words = text.toLowerCase().replace(/\s*[×,]\s*(?=\d)/g, ",").match(/"[^"]*"|\S+/g) ?? [];
  return ({ layer, name, operator, shape }) => {
    const texts = [layer, name, operator].map((one) => one.toLowerCase());
    const sides = `,${shape.replaceAll("×", ",")},`;
    return words.every((word) => hits(texts, sides, word));
  };
}

function hits(texts, sides, word) {
  const whole = word.replaceAll('"', "");
  if (/^[\d,]+$/.test(word)) return sides.includes(`,${word.replace(/^,+|,+$/g, "")},`) || texts[0].includes(word);
  if (!/^".+"$/.test(word)) return texts.some((one) => one.includes(whole)); // a quote that is not closed yet
  return texts.includes(whole) || sides === `,${whole},` || sides === `,1,${whole},`; // with or without the one image
}

// step: 0 marks all that match, 1 and -1 go to the next and the one before.
function find(view, text, step) {
  const wanted = text.trim();
  const found = wanted ? view.tree.items.filter(searched(wanted)) : [];
  view.found = new Set(found);
  view.scene.found = view.found;
  if (step && found.length) {
    const current = found.indexOf(view.selected);
    const next = current < 0 && step < 0 ? -1 : (current + step) % found.length;
    reveal(view, found.at(next));
  }
  const place = found.indexOf(view.selected) + 1;
  const words = place ? `${place} of ${found.length}` : `${found.length} found`;
  view.part(".hits").textContent = wanted ? words : "";
  view.repaint();
}

// To the next or previous box in the order of running.
function step(view, by) {
  const boxes = view.tree.items.filter((item) => view.view.boxes.has(item.id));
  const current = boxes.indexOf(view.selected);
  reveal(view, boxes[(current + by + boxes.length) % boxes.length]);
}
