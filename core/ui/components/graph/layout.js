// From boxes to places: groups from the innermost out, equal ones laid out once.

const HEAD = 24;
const BOX_HEIGHT = 34;
const ROW = 760; // pixels after which boxes without any flow go on in the next row
const keptLayouts = new Map();

// measure: the width of a text in pixels. Gives the same view with X, Y, w, h of each box, the
// pieces [x0, y0, x1, y1] of the lines in an open one, and each segment's route: which of them.
function laidOut(view, measure) {
  layOut(view.root, measure);
  moveTo(view.root, 0, 0);
  return view;
}

function layOut(box, measure) {
  const breadth = (text) => Math.max(44, Math.ceil(measure(text)) + 18);
  for (const child of box.children) {
    if (child.open) {
      layOut(child, measure);
    } else {
      const sign = child.item.group ? 18 : 0;
      child.w = Math.max(breadth(label(child.item)) + sign, breadth(child.item.shape));
      child.h = BOX_HEIGHT;
    }
  }
  const { items, segments, lines } = numbered(box);
  const found = kept(items, segments);
  box.headWidth = box.outer ? breadth(label(box.item)) + 8 : 0;
  const inner = Math.max(found.width, box.headWidth);
  const [left, head] = [(inner - found.width) / 2 + MARGIN, box.outer ? HEAD : 0];
  box.w = inner + 2 * MARGIN;
  box.h = found.height + head;
  box.children.forEach((child, index) => {
    child.x = found.x[index] - child.w / 2 + left;
    child.y = found.y[index] - child.h / 2 + head;
  });
  box.ports.forEach((port, index) => (port.x = found.x[box.children.length + index] + left));
  box.pieces = found.pieces.map((at) => [at[0] + left, at[1] + head, at[2] + left, at[3] + head]);
  lines.forEach((line, index) => {
    line.route = found.routes[index];
    if (line.from.box === box) box.pieces[line.route[0]][1] = 0;
    if (line.to.box === box) box.pieces[line.route.at(-1)][3] = box.h;
  });
}

// The group with numbers for boxes and ports, so that equal groups look equal.
function numbered(box) {
  const numbers = new Map();
  const items = [];
  for (const child of box.children) numbers.set(child, items.push([child.w, child.h, "node"]) - 1);
  for (const port of box.ports) numbers.set(port, items.push([4, 0, port.side]) - 1);
  const lines = [...box.segments.values()].flatMap((targets) => [...targets.values()]);
  const end = (place) =>
    numbers.has(place) ? [numbers.get(place), 0] : [numbers.get(place.box), place.x - place.box.w / 2];
  return { items, lines, segments: lines.map((line) => [...end(line.from), ...end(line.to)]) };
}

function kept(items, segments) {
  const key = JSON.stringify([items, segments]);
  if (keptLayouts.size > 2000) keptLayouts.clear();
  if (!keptLayouts.has(key)) {
    keptLayouts.set(key, segments.length ? layered(items, segments) : inRows(items));
  }
  return keptLayouts.get(key);
}

function inRows(items) {
  const [x, y] = [[], []];
  let [left, top, tallest, widest] = [0, MARGIN, 0, 0];
  for (const [w, h] of items) {
    if (left && left + w > ROW) [left, top, tallest] = [0, top + tallest + GAP, 0];
    x.push(left + w / 2);
    y.push(top + h / 2);
    left += w + GAP;
    tallest = Math.max(tallest, h);
    widest = Math.max(widest, left - GAP);
  }
  return { width: widest, height: top + tallest + MARGIN, x, y, pieces: [], routes: [] };
}

function moveTo(box, x, y) {
  [box.X, box.Y] = [x, y];
  for (const piece of box.pieces) {
    piece[0] += x;
    piece[1] += y;
    piece[2] += x;
    piece[3] += y;
  }
  for (const child of box.children) moveTo(child, x + child.x, y + child.y);
}
