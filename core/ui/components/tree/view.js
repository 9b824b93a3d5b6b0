// The table on the page: what is folded, sorted and chosen, and the lines in view.

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
    this.pen = document.createElement("canvas").getContext("2d"); // measures words
    this.folded = new Set();
    this.sorted = this.row = null;
    this.at = 0; // the line that keys move from
    this.heading = -1; // the column that Tab leads to, -1 for the names
    this.stop = listen(this);
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
      this.row = data.row ?? null;
      this.sorted = orderOf(data.order ?? "", this.names());
      this.folded = new Set(data.folded); // from then on the page only says what it was told
    }
    if (this.sorted && this.sorted.column >= data.columns.length) this.sorted = null;
    this.measure();
    if (!same && this.row !== null) this.move(this.lines.indexOf(this.row), this.lines.includes(this.row));
  }

  names() {
    return [this.data.heading, ...this.data.columns.map((column) => column.title)];
  }

  measure() {
    if (!this.data) return;
    const { rows, columns } = this.data;
    const room = this.table.clientWidth || 600;
    this.step = room < NARROW ? 10 : 16;
    this.pen.font = getComputedStyle(this.table).font;
    const widths = [firstWidth(rows, this.indents, this.step, room, this.pen), ...columns.map((one) => width(one, room, this.pen))];
    const sum = widths.reduce((all, one) => all + one, 0);
    this.table.style.setProperty("--columns", widths.map((one, column) => (column < columns.length ? `${one}px` : `minmax(${one}px, 1fr)`)).join(" "));
    this.table.style.setProperty("--first", `${widths[0]}px`);
    this.table.style.setProperty("--wide", `${Math.max(sum, room)}px`);
    this.arrange();
  }

  arrange() {
    this.lines = seen(this.data.rows, this.folded, this.data.columns, this.sorted);
    this.at = Math.max(0, Math.min(this.at, this.lines.length - 1));
    this.body.style.height = `${LINE * this.lines.length}px`;
    this.table.style.height = `${Math.min(this.data.height, HEAD + LINE * this.lines.length + 16)}px`;
    this.titles();
    const hidden = this.data.rows.names.length - this.lines.length;
    this.foot.textContent = hidden ? `${whole.format(hidden)} of ${whole.format(this.data.rows.names.length)} rows are in closed branches${this.sorted ? " and not sorted" : ""}.` : "";
    this.table.setAttribute("aria-rowcount", this.lines.length + 1);
    this.drawn = "";
    this.draw();
  }

  // Made anew, so that the one with the focus is given it again.
  titles() {
    const focused = this.head.contains(this.table.getRootNode().activeElement);
    this.heading = Math.min(this.heading, this.data.columns.length - 1);
    const names = { title: this.data.heading, kind: "text", help: "" };
    this.head.replaceChildren(...[names, ...this.data.columns].map((one, number) => titleOf(this, one, number - 1)));
    if (focused) this.focusTitle(this.heading, { preventScroll: true });
  }

  focusTitle(column, how) {
    this.heading = Math.max(-1, Math.min(this.data.columns.length - 1, column));
    [...this.head.children].forEach((cell, number) => (cell.tabIndex = number - 1 === this.heading ? 0 : -1));
    this.head.children[this.heading + 1].focus(how);
  }

  draw() {
    const first = Math.max(0, Math.floor(this.table.scrollTop / LINE) - AROUND);
    const last = Math.min(this.lines.length, Math.ceil((this.table.scrollTop + this.table.clientHeight) / LINE) + AROUND);
    const drawn = `${first} ${last} ${this.at} ${this.row}`;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.body.replaceChildren(...this.lines.slice(first, last).map((row, nth) => lineOf(this, row, first + nth)));
    this.table.setAttribute("aria-activedescendant", `line-${this.at}`);
  }

  sort(column) {
    const amount = column >= 0 && AMOUNTS.has(this.data.columns[column].kind);
    this.sorted = nextSort(this.sorted, column, amount);
    this.heading = column;
    this.table.scrollTop = this.at = 0;
    this.arrange();
    this.tell("order", this.sorted ? (this.sorted.down ? "-" : "") + this.names()[column + 1] : "");
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
    this.stop();
    this.resized.disconnect();
  }
}
