// Where the parts of each row lie from left to right: Brandes and Köpf, "Fast and Simple Horizontal
// Coordinate Assignment" (2002), with ports that lie beside a box's middle. Four drawings, each
// pushed into one corner; a part lies at the median of its four places.

function placed(parts, rows, places, gap) {
  const crossed = crossedByLongLines(parts, rows, places);
  const drawings = [];
  for (const down of [true, false]) {
    for (const right of [true, false]) {
      drawings.push(corner(parts, rows, crossed, gap, down, right));
    }
  }
  const narrowest = drawings.reduce((a, b) => (b.high - b.low < a.high - a.low ? b : a));
  for (const drawing of drawings) {
    const shift = drawing.right ? narrowest.low - drawing.low : narrowest.high - drawing.high;
    drawing.x = drawing.x.map((value) => value + shift);
  }
  return parts.map((_, index) => {
    const four = drawings.map((drawing) => drawing.x[index]).sort((a, b) => a - b);
    return (four[1] + four[2]) / 2;
  });
}

// Lines that give way: ordinary ones that cross a straight run of bends.
function crossedByLongLines(parts, rows, places) {
  const crossed = new Map(); // part above -> parts below
  for (const row of rows.slice(0, -1)) {
    const [long, short] = [[], []];
    for (const a of row) {
      for (const [b] of parts[a].below) (parts[a].bend && parts[b].bend ? long : short).push([a, b]);
    }
    if (!long.length) continue;
    const rightmost = new Array(row.length + 1).fill(-Infinity); // end of long lines from the left
    const leftmost = new Array(row.length + 1).fill(Infinity); // and of those from the right
    for (const [a, b] of long) rightmost[places[a] + 1] = leftmost[places[a]] = places[b];
    for (let i = 1; i <= row.length; i += 1) rightmost[i] = Math.max(rightmost[i], rightmost[i - 1]);
    for (let i = row.length; i > 0; i -= 1) leftmost[i - 1] = Math.min(leftmost[i], leftmost[i - 1]);
    for (const [a, b] of short) {
      const place = places[a];
      if (rightmost[place] <= places[b] && leftmost[place + 1] >= places[b]) continue;
      if (!crossed.has(a)) crossed.set(a, new Set());
      crossed.get(a).add(b);
    }
  }
  return crossed;
}

function corner(parts, rows, crossed, gap, down, right) {
  const ordered = (down ? rows : [...rows].reverse()).map((row) => (right ? row : [...row].reverse()));
  const { root, shift } = aligned(parts, ordered, crossed, down, right);
  const blocks = spaced(parts, ordered, root, shift, gap);
  compacted(blocks);
  const sign = right ? 1 : -1;
  const x = parts.map((_, index) => sign * (blocks[root[index]].x + shift[index]));
  const [low, high] = extent(parts, x);
  return { x, low, high, right };
}

// Parts that shall lie on one straight line get one root; shift: from the root's middle.
function aligned(parts, ordered, crossed, down, right) {
  const sign = right ? 1 : -1;
  const root = parts.map((_, index) => index);
  const next = parts.map((_, index) => index);
  const shift = new Array(parts.length).fill(0);
  const places = placesIn(ordered, parts.length);
  for (const row of ordered) {
    let last = -1;
    for (const part of row) {
      let near = down ? parts[part].above : parts[part].below;
      if (near.length > 1) {
        near = [...near].sort((a, b) => places[a[0]] - places[b[0]] || sign * (a[2] - b[2]));
      }
      const middle = (near.length - 1) / 2;
      for (let median = Math.floor(middle); near.length && median <= middle + 0.5; median += 1) {
        if (next[part] !== part) break;
        const line = near[median];
        const other = line[0];
        if (places[other] <= last) continue;
        if (down ? crossed.get(other)?.has(part) : crossed.get(part)?.has(other)) continue;
        next[other] = part;
        root[part] = root[other];
        next[part] = root[part];
        shift[part] = shift[other] + sign * (line[2] - line[1]);
        last = places[other];
      }
    }
  }
  return { root, shift };
}

// Blocks of aligned parts by their root, and how far apart neighbouring ones must at least be.
function spaced(parts, ordered, root, shift, gap) {
  const blocks = parts.map((_, part) => (root[part] === part ? { right: [], left: [], x: 0 } : null));
  for (const row of ordered) {
    for (let i = 1; i < row.length; i += 1) {
      const [a, b] = [row[i - 1], row[i]];
      const bends = Number(parts[a].bend) + Number(parts[b].bend);
      const between = (parts[a].width + parts[b].width) / 2 + gap * (1 - 0.15 * bends);
      const distance = between + shift[a] - shift[b];
      blocks[root[a]].right.push([blocks[root[b]], distance]);
      blocks[root[b]].left.push([blocks[root[a]], distance]);
    }
  }
  return blocks;
}

// Each block as far left as those before it allow, then as far right as those after it do.
function compacted(blocks) {
  const all = blocks.filter((block) => block);
  for (const block of all) block.waiting = block.left.length;
  const order = all.filter((block) => !block.waiting);
  for (let i = 0; i < order.length; i += 1) {
    for (const [block] of order[i].right) {
      block.waiting -= 1;
      if (!block.waiting) order.push(block);
    }
  }
  for (const block of order) {
    if (block.left.length) block.x = -Infinity;
    for (const [other, distance] of block.left) block.x = Math.max(block.x, other.x + distance);
  }
  for (const block of order.reverse()) {
    let most = Infinity;
    for (const [other, distance] of block.right) most = Math.min(most, other.x - distance);
    if (block.right.length) block.x = Math.max(block.x, most);
  }
}
