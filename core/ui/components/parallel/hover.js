// The run under the mouse: drawn on top of all, and what it is.

function hover(view, x, y) {
  const places = view.order.map((name) => view.x(name));
  const right = places.findIndex((place) => place >= x);
  const k = Math.min(Math.max(right < 0 ? places.length - 1 : right, 1), places.length - 1);
  let [nearest, least] = [-1, NEAR];
  const share = (x - places[k - 1]) / (places[k] - places[k - 1]);
  view.points?.forEach((line, run) => {
    if (!view.kept[run]) return;
    const height = k ? line[2 * k - 1] + (line[2 * k + 1] - line[2 * k - 1]) * share : line[1];
    if (Math.abs(height - y) < least) [nearest, least] = [run, Math.abs(height - y)];
  });
  mark(view, share < -0.2 || share > 1.2 ? -1 : nearest, x, y);
}

// Draws one run on top of all and says what it is; -1 for none.
function mark(view, run, x = 0, y = 0) {
  const tip = view.part(".tip");
  if (run !== view.marked) {
    view.marked = run;
    const pen = view.cleared(2);
    tip.style.display = run < 0 ? "none" : "block";
    if (run >= 0) {
      drawMarked(pen, view.look, view.points[run], view.colours[run]);
      tip.textContent = about(view, run);
    }
  }
  if (run < 0) return;
  const left = x + 16 + tip.offsetWidth > view.width ? x - 16 - tip.offsetWidth : x + 16;
  const top = Math.min(y + 16, view.data.height - tip.offsetHeight - 4);
  Object.assign(tip.style, { left: `${Math.max(2, left)}px`, top: `${Math.max(2, top)}px` });
}

function about(view, run) {
  const said = view.order.slice(0, 18).map((name) => {
    const scale = view.scaleOf(name);
    return `${cut(name, 40)}: ${cut(scale.text(scale.axis.values[run]), 60)}`;
  });
  const more = view.order.length > 18 ? [`and ${view.order.length - 18} more`] : [];
  return [view.data.runs[run], ...said, ...more].join("\n");
}
