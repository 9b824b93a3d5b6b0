// The drawing in its place on the page: zoom, folds, selection, colours, and what they look like.

const SMALL = 0.7; // zoom below which words are hard to read
const SAVED = new Map(); // of each network: folds, zoom, selection; lives as long as the page

class View {
  constructor(host) {
    this.part = (name) => host.querySelector(name);
    [this.box, this.canvas] = [this.part(".box"), this.part("canvas")];
    this.pen = this.canvas.getContext("2d");
    this.at = { x: 0, y: 0, zoom: 1 };
    this.fitted = true; // until the person moves it
    this.colouring = "type";
    this.painted = 0;
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.box);
    this.stop = listen(this);
  }

  // Runs at every rerun of the page, with new data or old.
  update(data, send) {
    this.send = send;
    this.box.style.height = `${data.height}px`;
    if (this.key !== data.view || this.revision !== data.graph.revision) this.open(data);
    this.showDead(data.dead);
    if (data.select[1] && data.select[1] !== this.asked) {
      this.asked = data.select[1];
      reveal(this, this.tree.byId.get(data.select[0]));
    }
    this.resize();
    this.repaint();
  }

  open(data) {
    const another = this.key !== undefined; // the page still holds what was selected in the last
    if (another) this.save();
    this.dead = null;
    [this.key, this.revision] = [data.view, data.graph.revision];
    this.tree = buildTree(data.graph);
    this.operators = data.graph.operators;
    const saved = SAVED.get(this.key);
    const known = saved?.revision === this.revision;
    this.unfolded = known ? saved.unfolded : openAtFirst(this.tree);
    this.selected = known ? this.tree.byId.get(saved.selected) : undefined;
    this.found = new Set();
    const { at, fitted, colouring, asked } = known ? saved : { ...this, fitted: true };
    Object.assign(this, { at, fitted, colouring, asked });
    if (!known && !another && data.colour) this.colouring = data.colour;
    this.part("select").value = this.colouring;
    this.arrange();
    // The page forgot it when this was taken down.
    if (this.selected || another) this.send("selected", this.selected?.id ?? null);
    if (this.colour() !== (data.colour || "")) this.send("colour", this.colour());
  }

  // Shares of dead units by id; there may be none, or they may come later than the graph.
  showDead(shares = {}) {
    const said = JSON.stringify(shares);
    if (said === this.dead) return;
    this.dead = said;
    for (const item of this.tree.items) item.values[MEASURES.indexOf("dead")] = shares[item.id];
    const option = this.part("select option[value=dead]");
    option.hidden = option.disabled = Object.keys(shares).length === 0;
    this.recolour();
  }

  save() {
    const { unfolded, at, fitted, colouring, asked, revision } = this;
    const selected = this.selected?.id;
    SAVED.set(this.key, { unfolded, at, fitted, colouring, asked, revision, selected });
  }

  close() {
    this.save();
    this.stop();
    this.watcher.disconnect();
    cancelAnimationFrame(this.frame);
  }

  // Lays out what is unfolded now.
  arrange() {
    const begin = performance.now();
    const font = getComputedStyle(this.box).getPropertyValue("--st-font") || "sans-serif";
    this.pen.font = `${FONT_SIZE}px ${font}`;
    const measure = (text) => this.pen.measureText(text).width;
    this.view = laidOut(visible(this.tree, this.unfolded), measure);
    this.recolour();
    if (this.fitted) this.fit();
    this.box.dataset.arranged = (performance.now() - begin).toFixed(1); // ms, for the tests
    this.box.dataset.boxes = this.scene.closed.length;
    const counts = `${this.scene.closed.length} boxes for ${this.tree.root.size} operations`;
    this.box.setAttribute("aria-label", `Data flow graph, ${counts}`);
    this.repaint();
  }

  recolour() {
    const boxes = [...this.view.boxes.values()].filter((box) => !box.open);
    const palette = new Palette(this.box, this.operators, this.colouring, boxes);
    this.scene = new Scene(this.view, palette, this.selected, this.found);
    this.map = null;
    drawLegend(this.part(".legend"), palette, this.operators);
    this.showFacts();
    this.repaint();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.box;
    const ratio = window.devicePixelRatio || 1;
    if (!width || !this.view) return; // in a closed tab
    if (width === this.width && height === this.height && ratio === this.ratio) return;
    if (this.width) this.at.x += (width - this.width) / 2;
    Object.assign(this, { width, height, ratio });
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    if (this.fitted) this.fit();
    this.repaint();
  }

  fit() {
    this.fitted = true;
    if (!this.width) return;
    const { w, h } = this.view.root;
    const [across, along] = [this.width / (w + 30), this.height / (h + 30)];
    const tall = Math.min(across, along) < SMALL; // then its width: all of it would be unreadable
    const zoom = tall ? Math.min(1, across) : Math.min(across, along, 1.3);
    this.at = { zoom, x: (this.width - w * zoom) / 2, y: tall ? 10 : (this.height - h * zoom) / 2 };
    this.repaint();
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    this.fitted = false;
    const zoom = Math.max(0.02, Math.min(4, this.at.zoom * factor));
    const grown = zoom / this.at.zoom;
    this.at = { zoom, x: x - (x - this.at.x) * grown, y: y - (y - this.at.y) * grown };
    this.repaint();
  }

  pan(x, y) {
    this.fitted = false;
    this.at = { ...this.at, x: this.at.x + x, y: this.at.y + y };
    this.repaint();
  }

  // Folds or unfolds a group; its title stays where it was.
  toggle(item) {
    const before = this.view.boxes.get(item.id);
    if (!this.unfolded.delete(item.id)) this.unfolded.add(item.id);
    this.fitted = false;
    this.arrange();
    const after = this.view.boxes.get(item.id);
    if (!before || !after) return;
    const { zoom } = this.at;
    this.pan((before.X + (before.w - after.w) / 2 - after.X) * zoom, (before.Y - after.Y) * zoom);
  }

  unfoldAll(open) {
    const groups = open ? this.tree.items.filter((item) => item.group) : [];
    this.unfolded = new Set(groups.map((item) => item.id));
    this.fitted = true;
    this.arrange();
  }

  select(item) {
    this.selected = item;
    this.scene.select(item);
    this.showFacts();
    this.send("selected", item?.id ?? null);
    this.repaint();
  }

  // For the address, which says nothing of the way that everybody sees first.
  colour() {
    return this.colouring === "type" ? "" : this.colouring;
  }

  showFacts() {
    const said = this.selected ? factsOf(this.selected) : ["Click a box for its facts, ⊞ to unfold it."];
    this.part(".facts").textContent = said.join(" · ");
  }

  repaint() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.paint();
    });
  }

  paint() {
    if (!this.scene || !this.width) return;
    const { pen, ratio, width, height } = this;
    const { x, y, zoom } = this.at;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = this.scene.palette.back;
    pen.fillRect(0, 0, width, height);
    pen.setTransform(ratio * zoom, 0, 0, ratio * zoom, ratio * x, ratio * y);
    this.scene.draw(pen, [-x / zoom, -y / zoom, (width - x) / zoom, (height - y) / zoom], zoom);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawMap(this);
    this.box.dataset.zoom = zoom.toFixed(3);
    this.painted += 1;
  }
}
