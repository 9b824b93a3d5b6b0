// What a person does: mouse, fingers, keys and the bar above. Gives a function that stops it.

const CLICK = 5; // pixels that a finger may slip

function listen(view) {
  const ended = new AbortController();
  const on = (element, names, act, more = {}) => {
    const options = { signal: ended.signal, ...more };
    for (const name of names.split(" ")) element.addEventListener(name, act, options);
  };
  listenToBar(view, on);
  listenToPointers(view, on);
  listenToKeys(view, on);
  on(view.part(".probe"), "transitionrun", () => view.recolour()); // the theme changed
  on(view.canvas, "wheel", (event) => turnWheel(view, event), { passive: false });
  return () => ended.abort();
}

function listenToBar(view, on) {
  const search = view.part("input");
  const acts = {
    fit: () => view.fit(),
    closer: () => view.zoom(1.3),
    farther: () => view.zoom(1 / 1.3),
    unfold: () => view.unfoldAll(true),
    fold: () => view.unfoldAll(false),
    svg: () => download(new Blob([svgOf(view.scene)], { type: "image/svg+xml" }), "network.svg"),
    png: async () => download(await pngOf(view.scene), "network.png"),
    dot: () => download(new Blob([dotOf(view.tree)], { type: "text/vnd.graphviz" }), "network.dot"),
    full: () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else view.part(".graph").requestFullscreen();
    },
  };
  on(view.part(".bar"), "click", (event) => acts[event.target.dataset.do]?.());
  on(search, "input", () => find(view, search.value, 0));
  on(search, "keydown", (event) => {
    if (event.key === "Enter") find(view, search.value, event.shiftKey ? -1 : 1);
  });
  on(view.part("select"), "change", (event) => {
    view.colouring = event.target.value;
    view.recolour();
    view.send("colour", view.colour());
  });
}

// The wheel scrolls the page, as everywhere; with Ctrl (so does a pinch on a touchpad) it zooms.
function turnWheel(view, event) {
  if (event.ctrlKey || event.metaKey || view.part(".graph").matches(":fullscreen")) {
    event.preventDefault();
    const lines = event.deltaMode ? 20 : 1;
    view.zoom(Math.exp(-event.deltaY * lines * 0.002), event.offsetX, event.offsetY);
    return;
  }
  const hint = view.part(".hint");
  hint.classList.add("shown");
  clearTimeout(view.hinted);
  view.hinted = setTimeout(() => hint.classList.remove("shown"), 900);
}

function listenToPointers(view, on) {
  const down = new Map(); // pointer -> where it is
  let moved = 0;
  on(view.canvas, "pointerdown", (event) => {
    view.canvas.setPointerCapture(event.pointerId);
    const { offsetX: x, offsetY: y } = event;
    down.set(event.pointerId, { x, y, onMap: isOnMap(view, x, y) });
    if (down.size === 1) moved = 0;
    if (isOnMap(view, x, y)) goOnMap(view, x, y);
  });
  on(view.canvas, "pointermove", (event) => {
    const { offsetX: x, offsetY: y } = event;
    const before = down.get(event.pointerId);
    if (!before) return showTip(view, x, y);
    moved += Math.abs(x - before.x) + Math.abs(y - before.y);
    drag(view, [...down.values()], before, x, y);
    return down.set(event.pointerId, { ...before, x, y });
  });
  on(view.canvas, "pointerup pointercancel", (event) => {
    const ended = down.get(event.pointerId);
    down.delete(event.pointerId);
    const clicked = event.type === "pointerup" && ended && !ended.onMap && moved < CLICK;
    if (clicked && !down.size) click(view, event.offsetX, event.offsetY);
  });
  on(view.canvas, "pointerleave", () => (view.part(".tip").style.display = "none"));
  on(view.canvas, "dblclick", (event) => {
    const { box, onSign } = boxAt(view, event.offsetX, event.offsetY);
    if (box?.item.group && !onSign) view.toggle(box.item);
  });
}

function drag(view, pointers, before, x, y) {
  if (before.onMap) {
    goOnMap(view, x, y);
  } else if (pointers.length === 2) {
    const other = pointers.find((pointer) => pointer !== before);
    const distance = (a, b) => Math.max(1, Math.hypot(other.x - a, other.y - b));
    view.zoom(distance(x, y) / distance(before.x, before.y), (x + other.x) / 2, (y + other.y) / 2);
    view.pan((x - before.x) / 2, (y - before.y) / 2);
  } else {
    view.pan(x - before.x, y - before.y);
  }
}

// The box under a point of the screen, and whether that is on its sign for folding.
function boxAt(view, x, y) {
  const [a, b] = [(x - view.at.x) / view.at.zoom, (y - view.at.y) / view.at.zoom];
  const under = (box) => a >= box.X && a <= box.X + box.w && b >= box.Y && b <= box.Y + box.h;
  const box = view.scene.closed.find(under) ?? view.scene.opened.findLast(under);
  const onSign = box?.item.group && a < box.X + 24 && b < box.Y + (box.open ? HEAD : box.h);
  return { box, onSign };
}

function click(view, x, y) {
  const { box, onSign } = boxAt(view, x, y);
  if (onSign) view.toggle(box.item);
  else view.select(box?.item);
}

function showTip(view, x, y) {
  const tip = view.part(".tip");
  const { box } = isOnMap(view, x, y) ? {} : boxAt(view, x, y);
  tip.style.display = box ? "block" : "none";
  view.canvas.style.cursor = box ? "pointer" : "grab";
  if (!box) return;
  tip.textContent = factsOf(box.item).join("\n");
  tip.style.left = `${Math.max(0, Math.min(x + 14, view.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${Math.max(0, Math.min(y + 14, view.height - tip.offsetHeight - 4))}px`;
}

function listenToKeys(view, on) {
  const acts = {
    "+": () => view.zoom(1.25),
    "-": () => view.zoom(0.8),
    0: () => view.fit(),
    n: () => step(view, 1),
    p: () => step(view, -1),
    Enter: () => view.selected?.group && view.toggle(view.selected),
    ArrowLeft: () => view.pan(60, 0),
    ArrowRight: () => view.pan(-60, 0),
    ArrowUp: () => view.pan(0, 60),
    ArrowDown: () => view.pan(0, -60),
  };
  on(view.box, "keydown", (event) => {
    if (!acts[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    acts[event.key]();
  });
}
