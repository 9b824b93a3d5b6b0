// The small map of a large drawing: x and y are scaled apart, since networks are tall.

const NARROW = 480; // pixels of a phone, where it would hide what it shows

function mapPlace(view) {
  const { w, h } = view.view.root;
  const { width, height, at } = view;
  if (width < NARROW || (w * at.zoom < width * 1.05 && h * at.zoom < height * 1.05)) return null;
  const high = Math.min(height - 16, Math.max(60, h * 0.3));
  const wide = Math.min(110, Math.max(40, ((w * high) / h) * 6));
  const [x, y] = [width - wide - 8, height - high - 8];
  return { x, y, width: wide, height: high, across: wide / w, along: high / h };
}

function drawMap(view) {
  const place = (view.mapPlace = mapPlace(view));
  if (!place) return;
  const { pen, at, scene } = view;
  const { x, y, width, height, across, along } = place;
  view.map ??= paintedMap(scene, place, view.ratio);
  pen.drawImage(view.map, x, y, width, height);
  pen.lineWidth = 1;
  pen.strokeStyle = scene.palette.line;
  pen.strokeRect(x, y, width, height);
  const clipped = (low, size, most) => [Math.min(most - 3, Math.max(0, low)), Math.min(most, low + size)];
  const [left, right] = clipped((-at.x / at.zoom) * across, (view.width / at.zoom) * across, width);
  const [top, bottom] = clipped((-at.y / at.zoom) * along, (view.height / at.zoom) * along, height);
  pen.lineWidth = 1.5;
  pen.strokeStyle = scene.palette.accent;
  pen.strokeRect(x + left, y + top, Math.max(3, right - left), Math.max(3, bottom - top));
  if (!view.selected) return;
  const { boxes, shownIn } = view.view;
  const chosen = boxes.get(view.selected.id) ?? shownIn.get(view.selected); // itself, or folded
  if (!chosen) return;
  pen.fillStyle = scene.palette.accent;
  pen.fillRect(x, y + chosen.Y * along, width, 2);
}

function paintedMap(scene, { width, height, across, along }, ratio) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.fillStyle = scene.palette.back;
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = scene.palette.panel;
  for (const box of scene.opened) {
    pen.fillRect(box.X * across, box.Y * along, box.w * across, box.h * along);
  }
  for (const box of scene.closed) {
    const [colour, opacity] = scene.palette.fill(box.item);
    pen.globalAlpha = Math.min(1, opacity * 2 + 0.15);
    pen.fillStyle = colour;
    const [wide, high] = [Math.max(1, box.w * across), Math.max(0.7, box.h * along)];
    pen.fillRect(box.X * across, box.Y * along, wide, high);
  }
  return canvas;
}

// Moves the view to a point of the map.
function goOnMap(view, x, y) {
  const place = view.mapPlace;
  const { zoom } = view.at;
  view.fitted = false;
  view.at = {
    zoom,
    x: view.width / 2 - ((x - place.x) / place.across) * zoom,
    y: view.height / 2 - ((y - place.y) / place.along) * zoom,
  };
  view.repaint();
}

function isOnMap(view, x, y) {
  const place = view.mapPlace;
  if (!place) return false;
  const [right, bottom] = [place.x + place.width, place.y + place.height];
  return x > place.x && x < right && y > place.y && y < bottom;
}
