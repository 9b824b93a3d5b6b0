// The drawing in its place on the page: what is shown, and how it gets on the screen.

const HEAD = 56; // pixels above the axes
const FOOT = 12;
const NARROWEST = 92; // pixels of an axis
const SIDE = 52; // pixels left of the first axis and right of the last

class View {
  constructor(host) {
    this.part = (name) => host.querySelector(name);
    this.pens = [".all", ".lines", ".marked"].map((name) => this.part(name).getContext("2d"));
    this.titles = new Map();
    this.marked = -1;
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.part(".scroll"));
    this.stop = listen(this);
  }

  // Runs at every rerun of the page, with new data or old.
  update(data, send) {
    this.send = send;
    this.state ??= stateOf(data.view);
    const said = JSON.stringify([data.axes, data.runs, data.colours, data.colour, data.height]);
    if (said === this.said) return;
    this.said = said;
    this.data = data;
    this.axes = new Map(data.axes.map((axis) => [axis.name, axis]));
    this.rescale();
    this.makeTitles();
    this.makeColours();
    this.resize(true);
  }

  close() {
    this.stop();
    this.watcher.disconnect();
    cancelAnimationFrame(this.frame);
  }

  get colouring() {
    const { colour } = this.state;
    return colour === "" || this.axes.has(colour) ? colour : this.data.colour;
  }

  scaleOf(name) {
    return this.scales.get(name);
  }

  // Applies a change of the state, shows it and tells the page.
  change(edit) {
    edit(this.state);
    this.rescale();
    this.tell();
  }

  tell() {
    this.repaint();
    this.send("view", JSON.stringify(this.state));
  }

  rescale() {
    const { scales, flipped, order } = this.state;
    this.scales = new Map();
    let words = 0;
    for (const axis of this.data.axes) {
      const wanted = scales[axis.name];
      let scale = new Scale(axis, axis.scale, flipped.includes(axis.name));
      const able = wanted === "linear" || (wanted === "log" && scale.low > 0);
      if (axis.scale !== "category" && able) scale = new Scale(axis, wanted, scale.flipped);
      this.scales.set(axis.name, scale);
      words = Math.max(words, scale.words.length);
    }
    const bottom = this.data.height - FOOT - (words ? APART + words * ROW : 0);
    this.scales.forEach((scale) => scale.place(HEAD, bottom));
    const known = order.filter((name) => this.axes.has(name));
    this.order = [...known, ...[...this.axes.keys()].filter((name) => !known.includes(name))];
    this.repaint();
  }

  makeTitles() {
    const made = this.order.map((name) => {
      const title = document.createElement("button");
      title.type = "button";
      title.className = "title";
      title.textContent = name;
      title.title = `${name}\nDrag to move, click for the menu`;
      title.setAttribute("aria-haspopup", "dialog");
      title.setAttribute("aria-expanded", "false");
      listenToTitle(this, title, name);
      return [name, title];
    });
    closeMenu(this);
    this.titles = new Map(made);
    this.part(".titles").replaceChildren(...this.titles.values());
  }

  makeColours() {
    const option = (value, text) => new Option(text, value);
    const options = [option("", "run"), ...[...this.axes.keys()].map((name) => option(name, cut(name, 40)))];
    this.part("select").replaceChildren(...options);
  }

  relook() {
    this.look = null;
    this.repaint();
  }

  resize(anyway) {
    const room = this.part(".scroll").clientWidth;
    const ratio = window.devicePixelRatio || 1;
    if (!room || !this.data) return; // in a closed tab
    const width = Math.max(room, 2 * SIDE + NARROWEST * (this.axes.size - 1));
    if (!anyway && width === this.width && ratio === this.ratio) return;
    const { height } = this.data;
    Object.assign(this, { width, ratio });
    for (const { canvas } of this.pens) {
      Object.assign(canvas, { width: width * ratio, height: height * ratio });
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    }
    const svg = this.part("svg");
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    Object.assign(this.part(".box").style, { width: `${width}px`, height: `${height}px` });
    this.repaint();
  }

  // The place of an axis; the one that is dragged is where the hand is.
  x(name) {
    if (this.dragged?.name === name) return this.dragged.x;
    const between = this.order.length - 1;
    const first = between ? SIDE : this.width / 2;
    return first + this.order.indexOf(name) * ((this.width - 2 * SIDE) / (between || 1));
  }

  axisAt(x, y) {
    const name = this.order.find((axis) => Math.abs(this.x(axis) - x) <= STRIP / 2);
    return name !== undefined && y >= HEAD - 8 && y <= this.scaleOf(name).end + 8 ? name : undefined;
  }

  drag(name, x) {
    this.dragged = { name, x: Math.min(Math.max(x, 10), this.width - 10) };
    this.titles.get(name).classList.add("moved");
    const others = this.order.filter((axis) => axis !== name);
    const step = (this.width - 2 * SIDE) / (others.length || 1);
    others.splice(Math.round((this.dragged.x - SIDE) / step), 0, name);
    this.order = others;
    this.repaint();
  }

  drop() {
    this.titles.get(this.dragged.name).classList.remove("moved");
    this.dragged = null;
    this.change((state) => (state.order = [...this.order]));
  }

  move(name, by) {
    const order = this.order.filter((axis) => axis !== name);
    order.splice(Math.max(0, this.order.indexOf(name) + by), 0, name);
    this.state.order = order;
  }

  brush(name, from, to) {
    const brush = this.scaleOf(name).brush(from, to);
    if (brush) this.state.brushes[name] = brush;
    else delete this.state.brushes[name];
    this.repaint();
  }

  keptRuns() {
    const kept = new Uint8Array(this.data.runs.length).fill(1);
    for (const [name, brush] of Object.entries(this.state.brushes)) {
      const scale = this.scaleOf(name);
      scale?.axis.values.forEach((value, run) => (kept[run] &= scale.meets(value, brush)));
    }
    return kept;
  }

  repaint() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.width && this.data) this.paint();
    });
  }

  paint() {
    const begin = performance.now();
    this.look ??= new Look(this.part(".parallel"));
    mark(this, -1);
    const places = this.order.map((name) => [this.scaleOf(name), this.x(name)]);
    this.paintAll(places);
    this.kept = this.keptRuns();
    const by = this.scaleOf(this.colouring);
    this.colours = this.data.runs.map((_, run) =>
      by ? this.look.ofValue(by, by.axis.values[run]) : this.data.colours[run]);
    drawKept(this.cleared(1), this.points, this.kept, this.colours);
    this.paintAxes(places);
    this.paintBar();
    this.part(".box").dataset.painted = (performance.now() - begin).toFixed(1); // ms, for the tests
  }

  // All runs, only when they are elsewhere than before: not while an axis is brushed.
  paintAll(places) {
    const now = [this.look, this.width, this.ratio, ...places.flat()];
    if (now.every((part, k) => part === this.painted?.[k]) && now.length === this.painted.length) return;
    this.painted = now;
    this.points = this.data.runs.map((_, run) =>
      places.flatMap(([scale, x]) => [x, scale.y(scale.axis.values[run])]));
    drawAll(this.cleared(0), this.look, this.points);
  }

  cleared(layer) {
    const pen = this.pens[layer];
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.data.height);
    return pen;
  }

  paintAxes(places) {
    const room = places.length > 1 ? (this.width - 2 * SIDE) / (places.length - 1) : this.width / 2;
    const most = Math.max(6, Math.floor((room - 16) / 6.2));
    const last = places.length > 1 ? places.length - 1 : -1;
    const drawn = places.map(([scale, x], k) =>
      axisOf(scale, x, this.state.brushes[scale.axis.name], k === last ? most - 2 : most, k === last));
    this.part("svg").replaceChildren(...drawn);
    const width = Math.min(room, 2 * SIDE) - 6;
    places.forEach(([scale, x]) => {
      const title = this.titles.get(scale.axis.name);
      Object.assign(title.style, { width: `${width}px`, left: `${x - width / 2}px` });
    });
    const shown = this.order.map((name) => this.titles.get(name));
    const now = [...this.part(".titles").children];
    if (!this.dragged && shown.some((title, k) => title !== now[k])) { // the order of the Tab key
      const focused = shown.find((title) => title === title.getRootNode().activeElement);
      this.part(".titles").replaceChildren(...shown);
      focused?.focus({ preventScroll: true });
    }
  }

  paintBar() {
    const shown = this.kept.reduce((count, is) => count + is, 0);
    const words = `${shown.toLocaleString("en")} of ${this.kept.length.toLocaleString("en")} runs`;
    if (this.part(".count").textContent !== words) this.part(".count").textContent = words;
    this.part("svg").setAttribute("aria-label", `Parallel axes of ${this.order.length} columns, ${words}`);
    this.part("[data-do=clear]").disabled = !Object.keys(this.state.brushes).length;
    this.part("select").value = this.colouring;
    drawLegend(this.part(".legend"), this.look, this);
  }
}
