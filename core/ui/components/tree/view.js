// The table on the page: draws the lines in view, and listens. All text is set as text.

const LINE = 32; // pixels, as in the style
const HEAD = 34;
const AROUND = 8; // lines drawn above and below those in view
const PAUSE = 250; // milliseconds after a fold before the page is told, as many may follow

class View {
  constructor(place) {
    this.table = place.querySelector(".tree");
    this.head = place.querySelector(".head");
    this.body = place.querySelector(".body");
    this.foot = place.querySelector(".foot");
    this.folded = new Set();
    this.sorted = this.row = null;
    this.at = 0; // the line that keys move from
    this.ended = new AbortController();
    const on = (names, act) => {
      for (const name of names.split(" ")) this.table.addEventListener(name, act, { signal: this.ended.signal });
    };
    on("scroll", () => this.draw());
    on("click", (event) => this.click(event));
    on("dblclick", (event) => this.toggleAll(event));
    on("keydown", (event) => this.key(event));
    this.resized = new ResizeObserver(() => this.measure());
    this.resized.observe(this.table);
  }

  update(data, tell) {
    this.tell = tell;
    const same = this.data && JSON.stringify(this.data.rows.names) === JSON.stringify(data.rows.names);
    this.data = data;
    this.indents = depths(data.rows.holders);
    this.holds = new Set(data.rows.holders);
    if (!same) {
      this.row = this.sorted = null;
      this.folded = new Set(data.folded); // from then on the page only says what it was told
    }
    if (this.sorted && this.sorted.column >= data.columns.length) this.sorted = null;
    this.measure();
  }

  measure() {
    if (!this.data) return;
    const { rows, columns } = this.data;
    const room = this.table.clientWidth || 600;
    this.step = room < 560 ? 10 : 16;
    const widths = [firstWidth(rows, this.indents, this.step, room), ...columns.map(width)];
    const sum = widths.reduce((all, one) => all + one, 0);
    this.table.style.setProperty("--columns", widths.map((one) => `${one}px`).join(" "));
    this.table.style.setProperty("--wide", `${Math.max(sum, room)}px`);
    this.arrange();
  }

  arrange() {
    this.lines = seen(this.data.rows, this.folded, this.data.columns, this.sorted);
    this.at = Math.min(this.at, this.lines.length - 1);
    this.body.style.height = `${LINE * this.lines.length}px`;
    this.table.style.height = `${Math.min(this.data.height, HEAD + LINE * this.lines.length + 16)}px`;
    this.head.replaceChildren(this.title(this.data.heading, -1, "text", ""), ...this.data.columns.map((one, column) => this.title(one.title, column, one.kind, one.help)));
    const hidden = this.data.rows.names.length - this.lines.length;
    this.foot.textContent = hidden ? `${whole.format(hidden)} of ${whole.format(this.data.rows.names.length)} rows are in closed branches${this.sorted ? " and not sorted" : ""}.` : "";
    this.drawn = "";
    this.draw();
  }

  title(words, column, kind, help) {
    const cell = this.cell(words, column < 0 ? "cell first" : AMOUNTS.has(kind) ? "cell amount" : "cell");
    cell.setAttribute("role", "columnheader");
    cell.dataset.column = column;
    cell.title = help || "Sort";
    const here = this.sorted?.column === column;
    cell.setAttribute("aria-sort", here ? (this.sorted.down ? "descending" : "ascending") : "none");
    if (here) cell.append(this.sorted.down ? " ↓" : " ↑");
    return cell;
  }

  cell(words, name) {
    const cell = document.createElement("div");
    cell.className = name;
    const text = document.createElement("span");
    text.textContent = words;
    cell.append(text);
    return cell;
  }

  draw() {
    const first = Math.max(0, Math.floor(this.table.scrollTop / LINE) - AROUND);
    const last = Math.min(this.lines.length, Math.ceil((this.table.scrollTop + this.table.clientHeight) / LINE) + AROUND);
    const drawn = `${first} ${last} ${this.at} ${this.row}`;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.body.replaceChildren(...this.lines.slice(first, last).map((row, nth) => this.line(row, first + nth)));
    this.table.setAttribute("aria-activedescendant", `line-${this.at}`);
  }

  line(row, place) {
    const { rows, columns } = this.data;
    const line = document.createElement("div");
    line.className = place === this.at ? "line at" : "line";
    line.style.top = `${LINE * place}px`;
    line.dataset.place = place;
    line.id = `line-${place}`;
    line.setAttribute("role", "row");
    line.setAttribute("aria-level", this.indents[row] + 1);
    line.setAttribute("aria-selected", row === this.row);
    const first = this.cell(this.sorted ? rows.names[row] : rows.labels[row], "cell first");
    first.title = rows.names[row];
    if (!this.sorted) first.style.paddingLeft = `${9 + this.step * this.indents[row]}px`;
    if (!this.sorted) first.prepend(this.arrow(row, line));
    line.append(first, ...columns.map((column) => this.value(column, row)));
    return line;
  }

  arrow(row, line) {
    const button = document.createElement(this.holds.has(row) ? "button" : "span");
    button.className = this.holds.has(row) ? "fold" : "fold none";
    if (!this.holds.has(row)) return button;
    const open = !this.folded.has(row);
    button.tabIndex = -1; // the arrow keys do it
    button.textContent = open ? "▼" : "▶";
    button.setAttribute("aria-label", `${open ? "Close" : "Open"} ${this.data.rows.names[row]}`);
    line.setAttribute("aria-expanded", open);
    return button;
  }

  value(column, row) {
    const value = column.values[row];
    const words = said(column.kind, value);
    if (column.kind !== "share" || value === null) {
      const cell = this.cell(words, AMOUNTS.has(column.kind) ? "cell amount" : "cell");
      if (column.kind === "text" && words.length > 20) cell.title = words;
      return cell;
    }
    const cell = this.cell(words, "cell");
    cell.firstChild.className = "number";
    const bar = document.createElement("div");
    bar.className = "bar";
    const filled = document.createElement("i");
    filled.style.width = `${100 * Math.min(1, value)}%`;
    bar.append(filled);
    cell.prepend(bar);
    return cell;
  }

  click(event) {
    const title = event.target.closest(".head .cell");
    if (title) return this.sort(Number(title.dataset.column));
    const line = event.target.closest(".line");
    if (!line) return;
    this.at = Number(line.dataset.place);
    this.table.focus({ preventScroll: true }); // an arrow is made anew when its branch changes
    if (event.target.closest("button.fold")) this.fold(this.lines[this.at]);
    else this.choose(this.lines[this.at]);
  }

  toggleAll(event) {
    const line = event.target.closest(".line");
    if (line && !event.target.closest("button.fold") && !this.sorted) this.fold(this.lines[Number(line.dataset.place)]);
  }

  sort(column) {
    const amount = column >= 0 && AMOUNTS.has(this.data.columns[column].kind);
    this.sorted = nextSort(this.sorted, column, amount);
    this.table.scrollTop = this.at = 0;
    this.arrange();
  }

  choose(row) {
    this.row = row === this.row ? null : row;
    this.draw();
    this.tell("row", this.row);
  }

  fold(row, shut = !this.folded.has(row)) {
    if (!this.holds.has(row) || shut === this.folded.has(row)) return;
    if (shut) this.folded.add(row);
    else this.folded.delete(row);
    this.arrange();
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.tell("folded", JSON.stringify([...this.folded].sort((a, b) => a - b))), PAUSE);
  }

  key(event) {
    const row = this.lines[this.at];
    const page = Math.max(1, Math.floor((this.table.clientHeight - HEAD) / LINE) - 1);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) this.move(this.at + moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.choose(row);
    else if (event.key === "ArrowRight" && !this.sorted) this.holds.has(row) && !this.folded.has(row) ? this.move(this.at + 1) : this.fold(row, false);
    else if (event.key === "ArrowLeft" && !this.sorted) this.holds.has(row) && !this.folded.has(row) ? this.fold(row, true) : this.move(this.lines.indexOf(this.data.rows.holders[row]), this.data.rows.holders[row] >= 0);
    else return;
    event.preventDefault();
  }

  move(to, there = true) {
    if (!there || !this.lines.length) return;
    this.at = Math.max(0, Math.min(this.lines.length - 1, to));
    const top = LINE * this.at;
    const inside = this.table.clientHeight - HEAD - LINE;
    if (top < this.table.scrollTop) this.table.scrollTop = top;
    else if (top > this.table.scrollTop + inside) this.table.scrollTop = top - inside;
    this.draw();
  }

  close() {
    clearTimeout(this.waiting);
    this.ended.abort();
    this.resized.disconnect();
  }
}
