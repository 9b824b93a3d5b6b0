// What a click on an axis' title opens: scale, direction, place, colour, and the filter by keyboard.

function openMenu(view, name) {
  const menu = view.part(".menu");
  const scale = view.scaleOf(name);
  const act = (text, change) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    button.onclick = () => {
      closeMenu(view);
      view.change(change);
    };
    return button;
  };
  const heading = Object.assign(document.createElement("strong"), { textContent: name });
  const parts = [heading];
  if (scale.type === "linear" && scale.low > 0) {
    parts.push(act("Log scale", (state) => (state.scales[name] = "log")));
  } else if (scale.type === "log") {
    parts.push(act("Linear scale", (state) => (state.scales[name] = "linear")));
  }
  parts.push(
    act("Turn upside down", (state) => toggle(state.flipped, name)),
    act("Colour by this", (state) => (state.colour = name)),
    act("Move left", () => view.move(name, -1)),
    act("Move right", () => view.move(name, 1)),
  );
  if (view.state.brushes[name]) parts.push(act("Remove the brush", (state) => delete state.brushes[name]));
  parts.push(...filterFields(view, name, scale));
  menu.replaceChildren(...parts);
  menu.setAttribute("aria-label", `Axis ${name}`);
  menu.hidden = false;
  view.menu = name;
  menu.style.left = `${Math.max(4, Math.min(view.x(name) - 105, view.width - 216))}px`;
  menu.querySelector("button").focus({ preventScroll: true });
}

function closeMenu(view) {
  if (view.menu === undefined) return;
  view.part(".menu").hidden = true;
  const title = view.titles.get(view.menu);
  view.menu = undefined;
  title?.setAttribute("aria-expanded", "false");
  title?.focus({ preventScroll: true });
}

function toggle(list, name) {
  if (list.includes(name)) list.splice(list.indexOf(name), 1);
  else list.push(name);
}

function filterFields(view, name, scale) {
  const brush = view.state.brushes[name] ?? {};
  const change = (edit) => view.change((state) => {
    const next = structuredClone(state.brushes[name] ?? {});
    edit(next);
    for (const key of Object.keys(next)) if (!next[key].length) delete next[key];
    if (Object.keys(next).length) state.brushes[name] = next;
    else delete state.brushes[name];
  });
  const boxes = (key, names) => names.slice(0, 40).map((word) => {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox" });
    box.checked = (brush[key] ?? []).includes(word);
    box.onchange = () => change((next) => toggle((next[key] ??= []), word));
    label.append(box, ` ${word}`);
    return label;
  });
  const found = scale.type === "category" ? boxes("among", scale.axis.categories) : [];
  if (scale.type !== "category" && scale.any) found.push(...rangeFields(brush, scale, change));
  return [...found, ...boxes("words", scale.words)];
}

function rangeFields(brush, scale, change) {
  return ["From", "To"].map((text, end) => {
    const label = document.createElement("label");
    const field = Object.assign(document.createElement("input"), { type: "number", step: "any" });
    field.value = brush.range?.[end] ?? "";
    field.placeholder = numberText(end ? scale.high : scale.low);
    field.onchange = () => change((next) => {
      const range = next.range ?? [scale.low, scale.high];
      range[end] = field.value === "" ? [scale.low, scale.high][end] : Number(field.value);
      next.range = range[0] <= scale.low && range[1] >= scale.high ? [] : range;
    });
    label.append(text, field);
    return label;
  });
}
