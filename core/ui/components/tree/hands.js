// What a person does: mouse and keys. Gives a function that stops it.

function listen(view) {
  const ended = new AbortController();
  const on = (name, act) => view.table.addEventListener(name, act, { signal: ended.signal });
  on("scroll", () => view.draw());
  on("click", (event) => click(view, event));
  on("dblclick", (event) => {
    const line = event.target.closest(".line");
    if (line && !event.target.closest("button.fold") && !view.sorted) view.fold(view.lines[Number(line.dataset.place)]);
  });
  on("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const title = event.target.closest(".head .cell");
    const act = title ? titleKeys(view, Number(title.dataset.column))[event.key] : lineKeys(view)[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  return () => ended.abort();
}

function click(view, event) {
  const title = event.target.closest(".head .cell");
  if (title) return view.sort(Number(title.dataset.column));
  const line = event.target.closest(".line");
  if (!line) return;
  view.at = Number(line.dataset.place);
  view.table.focus({ preventScroll: true }); // an arrow is made anew when its branch changes
  if (event.target.closest("button.fold")) view.fold(view.lines[view.at]);
  else if (event.detail < 2) view.choose(view.lines[view.at]); // of a double click the first one
}

function titleKeys(view, column) {
  const sort = () => view.sort(column);
  return {
    Enter: sort,
    " ": sort,
    ArrowLeft: () => view.focusTitle(column - 1),
    ArrowRight: () => view.focusTitle(column + 1),
    Home: () => view.focusTitle(-1),
    End: () => view.focusTitle(Infinity),
    ArrowDown: () => view.table.focus({ preventScroll: true }),
  };
}

function lineKeys(view) {
  if (!view.lines.length) return {};
  const row = view.lines[view.at];
  const holder = view.data.rows.holders[row];
  const page = Math.max(1, Math.floor((view.table.clientHeight - HEAD) / LINE) - 1);
  const open = view.holds.has(row) && !view.folded.has(row);
  const choose = () => view.choose(row);
  const tree = view.sorted ? {} : {
    ArrowRight: () => (open ? view.move(view.at + 1) : view.fold(row, false)),
    ArrowLeft: () => (open ? view.fold(row, true) : view.move(view.lines.indexOf(holder), holder >= 0)),
  };
  return {
    ...tree,
    Enter: choose,
    " ": choose,
    ArrowDown: () => view.move(view.at + 1),
    ArrowUp: () => view.move(view.at - 1),
    PageDown: () => view.move(view.at + page),
    PageUp: () => view.move(view.at - page),
    Home: () => view.move(0),
    End: () => view.move(Infinity),
  };
}
