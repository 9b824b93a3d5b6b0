// What a person does: mouse, fingers, keys and the bar above. Gives a function that stops it.

const EDGE = 6; // pixels, where a brush is resized
const CLICK = 4; // pixels that a finger may slip
const NEAR = 14; // pixels from a line

function listen(view) {
  const ended = new AbortController();
  const on = (element, names, act) => {
    for (const name of names.split(" ")) element.addEventListener(name, act, { signal: ended.signal });
  };
  const acts = {
    clear: (state) => (state.brushes = {}),
    reset: (state) => Object.assign(state, { order: [], scales: {}, flipped: [] }),
  };
  on(view.part(".bar"), "click", (event) => {
    const act = acts[event.target.dataset.do];
    if (act) view.change(act);
  });
  on(view.part("select"), "change", (event) => {
    view.change((state) => (state.colour = event.target.value));
  });
  on(view.part(".probe"), "transitionrun", () => view.relook()); // the theme changed
  listenToBrushes(view, on);
  on(view.part(".parallel"), "keydown", (event) => {
    if (event.key === "Escape") closeMenu(view);
  });
  on(view.part(".parallel"), "pointerdown", (event) => {
    if (!event.target.closest(".menu, .title")) closeMenu(view);
  });
  return () => ended.abort();
}

function listenToBrushes(view, on) {
  const svg = view.part("svg");
  let drag = null;
  const place = (event) => {
    const { left, top } = svg.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  on(svg, "pointerdown", (event) => {
    const [x, y] = place(event);
    const name = event.button === 0 ? view.axisAt(x, y) : undefined;
    if (name === undefined) return;
    event.preventDefault();
    svg.setPointerCapture(event.pointerId);
    drag = grip(view, name, y);
    mark(view, -1);
  });
  on(svg, "pointermove", (event) => {
    const [x, y] = place(event);
    if (!drag) return hover(view, x, y);
    if (Math.abs(y - drag.start) < CLICK && !drag.moved) return;
    drag.moved = true;
    const [from, to] = drag.stretch(y);
    view.brush(drag.name, Math.min(from, to), Math.max(from, to));
  });
  on(svg, "pointerup pointercancel", () => {
    if (drag?.moved) view.tell();
    drag = null;
  });
  on(svg, "pointerleave", () => mark(view, -1));
  on(svg, "dblclick", (event) => {
    const name = view.axisAt(...place(event));
    if (name !== undefined) view.change((state) => delete state.brushes[name]);
  });
}

// What a press at a height of an axis takes hold of: a brush, one of its ends, or nothing yet.
function grip(view, name, start) {
  const brush = view.state.brushes[name];
  for (const [from, to] of brush ? view.scaleOf(name).stretches(brush) : []) {
    if (Math.abs(start - from) <= EDGE) return { name, start, stretch: (y) => [y, to] };
    if (Math.abs(start - to) <= EDGE) return { name, start, stretch: (y) => [from, y] };
    if (start > from && start < to) {
      return { name, start, stretch: (y) => [from + y - start, to + y - start] };
    }
  }
  return { name, start, stretch: (y) => [start, y] };
}

// A title is dragged to another place, or clicked for its menu.
function listenToTitle(view, title, name) {
  let start = null;
  let moved = false;
  const x = (event) => event.clientX - view.part(".box").getBoundingClientRect().left;
  title.onpointerdown = (event) => {
    if (event.button !== 0) return;
    title.setPointerCapture(event.pointerId);
    [start, moved] = [x(event), false];
  };
  title.onpointermove = (event) => {
    if (start === null || (!moved && Math.abs(x(event) - start) < CLICK)) return;
    moved = true;
    closeMenu(view);
    view.drag(name, x(event));
  };
  title.onpointerup = title.onpointercancel = () => {
    if (moved) view.drop();
    start = null;
  };
  title.onclick = () => {
    if (moved) return;
    const open = view.menu === name;
    closeMenu(view);
    if (open) return;
    openMenu(view, name);
    title.setAttribute("aria-expanded", "true");
  };
  title.onkeydown = (event) => {
    moved = false;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    view.change(() => view.move(name, by));
    title.focus({ preventScroll: true });
  };
}
