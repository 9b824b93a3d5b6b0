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
    for (let i = 0; i < parts.length; i += 1) drawing.x[i] += shift;
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
    const isLong = (a, line) => parts[a].bend && parts[line[0]].bend;
    if (!row.some((a) => parts[a].below.some((line) => isLong(a, line)))) continue;
    const rightmost = new Array(row.length + 1).fill(-Infinity); // end of long lines from the left
    const leftmost = new Array(row.length + 1).fill(Infinity); // and of those from the right
    for (const a of row) {
      for (const line of parts[a].below) {
        if (isLong(a, line)) rightmost[places[a] + 1] = leftmost[places[a]] = places[line[0]];
      }
    }
    for (let i = 1; i <= row.length; i += 1) rightmost[i] = Math.max(rightmost[i], rightmost[i - 1]);
    for (let i = row.length; i > 0; i -= 1) leftmost[i - 1] = Math.min(leftmost[i], leftmost[i - 1]);
    for (const a of row) {
      for (const line of parts[a].below) {
        const end = places[line[0]];
        if (isLong(a, line)) continue;
        if (rightmost[places[a]] <= end && leftmost[places[a] + 1] >= end) continue;
        if (!crossed.has(a)) crossed.set(a, new Set());
        crossed.get(a).add(line[0]);
      }
    }
  }
  return crossed;
}

function corner(parts, rows, crossed, gap, down, right) {
  const ordered = (down ? rows : [...rows].reverse()).map((row) => (right ? row : [...row].reverse()));
  const lines = aligned(parts, ordered, crossed, down, right);
  const blocks = compacted(parts, ordered, lines, gap);
  const sign = right ? 1 : -1;
  const x = parts.map((_, index) => sign * (blocks[lines.root[index]] + lines.shift[index]));
  const [low, high] = extent(parts, x);
  return { x, low, high, right };
}

// Parts that shall lie on one straight line are a block and get one root; next: the part below, of
// the last the first; shift: from the root's middle.
function aligned(parts, ordered, crossed, down, right) {
  const sign = right ? 1 : -1;
  const root = Int32Array.from(parts.keys());
  const next = Int32Array.from(root);
  const shift = new Float64Array(parts.length);
  const places = placesIn(ordered, parts.length);
  for (const row of ordered) {
    let last = -1;
    for (const part of row) {
      const near = down ? parts[part].above : parts[part].below;
      if (near.length > 1) near.sort((a, b) => places[a[0]] - places[b[0]] || sign * (a[2] - b[2]));
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
  return { root, next, shift };
}

// x of each block by its root: as far left as those before it allow, then as far right as those
// after it do.
function compacted(parts, ordered, { root, next, shift }, gap) {
  const { before, after, apart, waiting } = neighbours(parts, ordered, root, shift, gap);
  const order = fromLeft(root, next, after, waiting);
  const x = new Float64Array(parts.length);
  for (const block of order) {
    let [least, part] = [-Infinity, block];
    do {
      const a = before[part];
      if (a >= 0) least = Math.max(least, x[root[a]] + apart[a]);
      part = next[part];
    } while (part !== block);
    if (least > -Infinity) x[block] = least;
  }
  for (const block of order.reverse()) {
    let [most, part] = [Infinity, block];
    do {
      const b = after[part];
      if (b >= 0) most = Math.min(most, x[root[b]] - apart[part]);
      part = next[part];
    } while (part !== block);
    if (most < Infinity) x[block] = Math.max(x[block], most);
  }
  return x;
}

// What lies beside each part, -1 for nothing; how far apart its block and that of the next one must
// be; and how many parts lie right before those of each block.
function neighbours(parts, ordered, root, shift, gap) {
  const [before, after] = [new Int32Array(parts.length).fill(-1), new Int32Array(parts.length).fill(-1)];
  const apart = new Float64Array(parts.length);
  const waiting = new Int32Array(parts.length);
  for (const row of ordered) {
    for (let i = 1; i < row.length; i += 1) {
      const a = row[i - 1];
      const b = row[i];
      const bends = Number(parts[a].bend) + Number(parts[b].bend);
      const between = (parts[a].width + parts[b].width) / 2 + gap * (1 - 0.15 * bends);
      after[a] = b;
      before[b] = a;
      apart[a] = between + shift[a] - shift[b];
      waiting[root[b]] += 1;
    }
  }
  return { before, after, apart, waiting };
}

// The roots of blocks, each after those that lie before its parts.
function fromLeft(root, next, after, waiting) {
  const order = [];
  for (let part = 0; part < root.length; part += 1) {
    if (root[part] === part && !waiting[part]) order.push(part);
  }
  for (let i = 0; i < order.length; i += 1) {
    let part = order[i];
    do {
      if (after[part] >= 0) {
        const block = root[after[part]];
        waiting[block] -= 1;
        if (!waiting[block]) order.push(block);
      }
      part = next[part];
    } while (part !== order[i]);
  }
  return order;
}
