// What a view looks like, on anything that draws as a canvas does. All text is drawn as text.

const FONT_SIZE = 11;
const READABLE = 0.38; // below this zoom there is no text

// Flat lists of what there is to draw.
function flattened(view) {
  const [closed, opened, pieces, tips] = [[], [], [], new Set()];
  const visit = (box) => {
    for (const piece of box.pieces) if (piece[3] - piece[1] >= 0.1) pieces.push(piece);
    for (const targets of box.segments.values()) {
      for (const segment of targets.values()) if (segment.to.item) tips.add(arrival(segment));
    }
    for (const child of box.children) {
      (child.open ? opened : closed).push(child);
      if (child.open) visit(child);
    }
  };
  visit(view.root);
  return { closed, opened, pieces, tips: [...tips] };
}

// The last piece of a segment, at whose end is the arrow's tip.
function arrival(segment) {
  return segment.level.pieces[segment.route.at(-1)];
}

// Segments to and from what is selected.
function selectedSegments(view, item) {
  const box = item && (view.boxes.get(item.id) ?? view.shownIn.get(item));
  if (!box) return new Set();
  const inside = (other) => {
    for (let outer = other; outer; outer = outer.outer) if (outer === box) return true;
    return false;
  };
  const touching = view.links.filter((link) => inside(link.source) !== inside(link.target));
  return new Set(touching.flatMap((link) => link.path));
}

class Scene {
  constructor(view, palette, selected, found) {
    Object.assign(this, { view, palette, selected, found });
    Object.assign(this, flattened(view));
    this.marked = selectedSegments(view, selected);
  }

  select(item) {
    this.selected = item;
    this.marked = selectedSegments(this.view, item);
  }

  // region: [left, top, right, bottom] in the drawing's own pixels; zoom: screen pixels per one.
  draw(to, region, zoom) {
    const [left, top, right, bottom] = region;
    const seen = (box) => box.X < right && box.X + box.w > left && box.Y < bottom && box.Y + box.h > top;
    this.pixel = 1 / Math.min(1, zoom);
    this.readable = zoom > READABLE;
    to.font = `${FONT_SIZE}px ${this.palette.font}`;
    to.textBaseline = "middle";
    const opened = this.opened.filter(seen);
    for (const box of opened) this.drawOpened(to, box);
    this.drawLines(to, region, this.pieces, this.tips, this.palette.text, 0.5, 1);
    const marked = [...this.marked];
    const tips = marked.filter((segment) => segment.to.item).map(arrival); // a port: the line goes on
    const pieces = new Set(marked.flatMap(({ level, route }) => route.map((i) => level.pieces[i])));
    this.drawLines(to, region, pieces, tips, this.palette.accent, 1, 2);
    for (const box of this.closed) if (seen(box)) this.drawClosed(to, box);
    if (!this.readable) return;
    to.textAlign = "left";
    for (const box of opened) {
      to.fillStyle = this.palette.panel; // a line passes behind the name
      to.fillRect(box.X + 2, box.Y + 2, box.headWidth, HEAD - 4);
      to.fillStyle = this.palette.text;
      to.fillText(`⊟ ${label(box.item)}`, box.X + 7, box.Y + HEAD / 2 + 1);
    }
  }

  drawOpened(to, box) {
    to.globalAlpha = 0.55;
    to.fillStyle = this.palette.panel;
    to.fillRect(box.X, box.Y, box.w, box.h);
    to.globalAlpha = 1;
    const chosen = box.item === this.selected || this.found?.has(box.item);
    to.lineWidth = (chosen ? 2.5 : 1) * this.pixel;
    to.strokeStyle = chosen ? this.palette.accent : this.palette.line;
    to.strokeRect(box.X, box.Y, box.w, box.h);
  }

  drawLines(to, [left, top, right, bottom], pieces, tips, colour, opacity, weight) {
    to.strokeStyle = to.fillStyle = colour;
    to.globalAlpha = opacity;
    to.lineWidth = weight * this.pixel;
    to.beginPath();
    for (const [x0, y0, x1, y1] of pieces) {
      if (y1 < top || y0 > bottom || Math.max(x0, x1) < left || Math.min(x0, x1) > right) continue;
      to.moveTo(x0, y0);
      const middle = (y0 + y1) / 2;
      if (Math.abs(x0 - x1) < 0.5) to.lineTo(x1, y1);
      else to.bezierCurveTo(x0, middle, x1, middle, x1, y1);
    }
    to.stroke();
    to.beginPath();
    for (const [, , x, y] of this.readable ? tips : []) {
      if (y < top || y > bottom + 9) continue;
      to.moveTo(x, y);
      to.lineTo(x - 3.5, y - 6);
      to.lineTo(x + 3.5, y - 6);
    }
    to.fill();
    to.globalAlpha = 1;
  }

  drawClosed(to, box) {
    const [colour, opacity] = this.palette.fill(box.item);
    to.fillStyle = this.palette.back;
    to.fillRect(box.X, box.Y, box.w, box.h);
    to.globalAlpha = opacity;
    to.fillStyle = colour;
    to.fillRect(box.X, box.Y, box.w, box.h);
    to.globalAlpha = 1;
    to.lineWidth = this.pixel;
    to.strokeStyle = this.palette.edge(box.item);
    to.strokeRect(box.X, box.Y, box.w, box.h);
    const chosen = box.item === this.selected;
    if (chosen || this.found?.has(box.item)) {
      to.lineWidth = (chosen ? 2.5 : 1.5) * this.pixel;
      to.strokeStyle = this.palette.accent;
      to.strokeRect(box.X - 3, box.Y - 3, box.w + 6, box.h + 6);
    }
    if (this.readable) this.drawWords(to, box);
  }

  drawWords(to, box) {
    const [middle, below] = [box.X + box.w / 2, this.palette.subtitle(box.item)];
    to.fillStyle = this.palette.text;
    to.textAlign = "center";
    const words = box.item.group ? `⊞ ${label(box.item)}` : label(box.item);
    to.fillText(words, middle, box.Y + box.h * (below ? 0.32 : 0.52));
    if (!below) return;
    to.globalAlpha = 0.75;
    to.fillText(below, middle, box.Y + box.h * 0.74);
    to.globalAlpha = 1;
  }
}
