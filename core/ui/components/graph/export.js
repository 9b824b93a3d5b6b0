// The drawing as a file: SVG by the same scene on a pen that writes, PNG, and DOT for Graphviz.

const LARGEST_SIDE = 16000; // pixels: what browsers give a canvas

// Takes what a Scene asks of a canvas and writes it down as SVG.
class SvgPen {
  constructor() {
    this.written = [];
    this.path = "";
  }

  static number(value) {
    return Number(value.toFixed(1));
  }

  beginPath() {
    this.path = "";
  }

  moveTo(...point) {
    this.path += `M${point.map(SvgPen.number).join(" ")}`;
  }

  lineTo(...point) {
    this.path += `L${point.map(SvgPen.number).join(" ")}`;
  }

  bezierCurveTo(...points) {
    this.path += `C${points.map(SvgPen.number).join(" ")}`;
  }

  stroke() {
    if (!this.path) return;
    const look = { fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth };
    this.write("path", { d: this.path, ...look });
  }

  fill() {
    if (this.path) this.write("path", { d: this.path, fill: this.fillStyle });
  }

  fillRect(...box) {
    this.write("rect", { ...SvgPen.sides(box), fill: this.fillStyle });
  }

  strokeRect(...box) {
    const look = { fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth };
    this.write("rect", { ...SvgPen.sides(box), ...look });
  }

  static sides(box) {
    const [x, y, width, height] = box.map(SvgPen.number);
    return { x, y, width, height };
  }

  fillText(words, x, y) {
    const place = { x: SvgPen.number(x), y: SvgPen.number(y + 3.5), fill: this.fillStyle };
    const anchor = this.textAlign === "center" ? "middle" : "start";
    this.write("text", { ...place, "text-anchor": anchor }, words);
  }

  write(tag, attributes, words = "") {
    const all = { ...attributes, opacity: this.globalAlpha ?? 1 };
    const text = Object.entries(all).map(([name, value]) => ` ${name}="${escaped(value)}"`).join("");
    this.written.push(`<${tag}${text}>${escaped(words)}</${tag}>`);
  }
}

function escaped(text) {
  const safe = String(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "�");
  return safe.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

function svgOf(scene) {
  const { w, h } = scene.view.root;
  const pen = new SvgPen();
  scene.draw(pen, [-Infinity, -Infinity, Infinity, Infinity], 1);
  const [width, height] = [Math.ceil(w) + 16, Math.ceil(h) + 16];
  const size = `viewBox="-8 -8 ${width} ${height}" width="${width}" height="${height}"`;
  const font = `font-family="${escaped(scene.palette.font)}" font-size="${FONT_SIZE}"`;
  const back = `<rect x="-8" y="-8" width="100%" height="100%" fill="${escaped(scene.palette.back)}"/>`;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${font}>`;
  return `${head}${back}${pen.written.join("\n")}</svg>`;
}

function pngOf(scene) {
  const { w, h } = scene.view.root;
  const scale = Math.min(2, LARGEST_SIDE / (Math.max(w, h) + 16));
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil((w + 16) * scale);
  canvas.height = Math.ceil((h + 16) * scale);
  const pen = canvas.getContext("2d");
  pen.fillStyle = scene.palette.back;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.setTransform(scale, 0, 0, scale, 8 * scale, 8 * scale);
  scene.draw(pen, [-Infinity, -Infinity, Infinity, Infinity], Math.max(scale, READABLE + 0.01));
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

// The whole graph, whatever is folded: a cluster for each run of a layer.
function dotOf(tree) {
  const quoted = (text) => `"${text.replace(/[\\"]/g, "\\$&").replace(/\s/g, " ")}"`;
  const numbers = new Map(tree.items.map((item, index) => [item, index]));
  const lines = ["digraph network {", 'node [shape=box, fontname="sans-serif"];'];
  const write = (item) => {
    const number = numbers.get(item);
    if (!item.group) {
      const words = quoted(label(item)).slice(0, -1);
      lines.push(`n${number} [label=${words}${item.shape ? `\\n${item.shape}` : ""}"];`);
      return;
    }
    lines.push(`subgraph cluster_${number} { label=${quoted(label(item))};`);
    item.children.forEach(write);
    lines.push("}");
  };
  tree.root.children.forEach(write);
  for (const [from, to] of tree.edges) lines.push(`n${numbers.get(from)} -> n${numbers.get(to)};`);
  return `${lines.join("\n")}\n}\n`;
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 5000);
}
