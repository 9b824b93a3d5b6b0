// What the table is made of: titles, lines and their cells. All text is set as text.

function titleOf(view, { title, kind, help }, column) {
  const cell = cellOf(title, column < 0 ? "cell first" : AMOUNTS.has(kind) ? "cell amount" : "cell", "columnheader");
  cell.dataset.column = column;
  cell.title = help || "Sort";
  cell.tabIndex = column === view.heading ? 0 : -1; // the arrow keys go on from there
  const here = view.sorted?.column === column;
  cell.setAttribute("aria-sort", here ? (view.sorted.down ? "descending" : "ascending") : "none");
  if (here) cell.append(view.sorted.down ? " ↓" : " ↑");
  return cell;
}

function cellOf(words, name, role = "gridcell") {
  const cell = document.createElement("div");
  cell.className = name;
  cell.setAttribute("role", role);
  const text = document.createElement("span");
  text.textContent = words;
  cell.append(text);
  return cell;
}

function lineOf(view, row, place) {
  const { rows, columns } = view.data;
  const line = document.createElement("div");
  line.className = place === view.at ? "line at" : "line";
  line.style.top = `${LINE * place}px`;
  line.dataset.place = place;
  line.id = `line-${place}`;
  line.setAttribute("role", "row");
  line.setAttribute("aria-rowindex", place + 2); // the titles are the first
  line.setAttribute("aria-level", view.indents[row] + 1);
  line.setAttribute("aria-selected", row === view.row);
  const first = cellOf(view.sorted ? rows.names[row] : rows.labels[row], "cell first", "rowheader");
  first.title = rows.names[row];
  if (!view.sorted) first.style.paddingLeft = `${7 + view.step * view.indents[row]}px`;
  if (!view.sorted) first.prepend(arrowOf(view, row, line));
  line.append(first, ...columns.map((column) => valueOf(column, row)));
  return line;
}

function arrowOf(view, row, line) {
  const holds = view.holds.has(row);
  const button = document.createElement(holds ? "button" : "span");
  button.className = holds ? "fold" : "fold none";
  if (!holds) return button;
  const open = !view.folded.has(row);
  button.tabIndex = -1; // the arrow keys do it
  button.textContent = open ? "▼" : "▶";
  button.setAttribute("aria-label", `${open ? "Close" : "Open"} ${view.data.rows.names[row]}`);
  line.setAttribute("aria-expanded", open);
  return button;
}

function valueOf(column, row) {
  const value = column.values[row];
  const words = said(column.kind, value);
  if (column.kind !== "share" || value === null) {
    const cell = cellOf(words, AMOUNTS.has(column.kind) ? "cell amount" : "cell");
    if (words.length > 14 && !AMOUNTS.has(column.kind)) cell.title = words; // it may be cut off
    return cell;
  }
  const cell = cellOf(words, "cell");
  cell.firstChild.className = "number";
  const bar = document.createElement("div");
  bar.className = "bar";
  const filled = document.createElement("i");
  filled.style.width = `${100 * Math.min(1, value)}%`;
  bar.append(filled);
  cell.prepend(bar);
  return cell;
}
