// A layered drawing of one group (Sugiyama): ranks from top to bottom, few crossings, straight
// lines. Lines run straight through a rank's band and bend only between bands, so none crosses a
// box. Items: [width, height, "node" | "in" | "out"]; segments: [from, offset, to, offset], the
// offsets from the items' middles.

const GAP = 14;
const MARGIN = 10;
const SWEEPS = 12;

function layered(items, segments) {
  const ranks = ranked(items, segments);
  const { parts, chains } = withBends(items, segments, ranks);
  const rows = Array.from({ length: Math.max(0, ...ranks) + 1 }, () => []);
  parts.forEach((part, index) => rows[part.rank].push(index));
  const x = placedInRows(items, parts, rows);
  return routed(items, segments, ranks, parts, chains, rows, x);
}

// Each item below all that it reads; what reads nothing, right above its first reader.
function ranked(items, segments) {
  const ranks = items.map(([, , kind]) => (kind === "in" ? 0 : 1));
  const after = items.map(() => []);
  const waiting = items.map(() => 0);
  for (const [from, , to] of segments) {
    after[from].push(to);
    waiting[to] += 1;
  }
  const reads = waiting.map((count) => count > 0);
  const order = [...items.keys()].filter((index) => !waiting[index]);
  for (let i = 0; i < order.length; i += 1) {
    for (const to of after[order[i]]) {
      ranks[to] = Math.max(ranks[to], ranks[order[i]] + 1);
      waiting[to] -= 1;
      if (!waiting[to]) order.push(to);
    }
  }
  for (const index of order.reverse()) {
    if (items[index][2] === "node" && !reads[index] && after[index].length) {
      ranks[index] = Math.min(...after[index].map((to) => ranks[to])) - 1;
    }
  }
  const inner = ranks.filter((_, index) => items[index][2] !== "out");
  const last = Math.max(0, ...inner) + 1;
  return ranks.map((rank, index) => (items[index][2] === "out" ? last : rank));
}

// Long lines get a bend at every rank they pass; all long lines of one source share them, so a
// segment's chain goes on for the longest of them.
function withBends(items, segments, ranks) {
  const parts = items.map(([width, height], index) => ({
    width, height, rank: ranks[index], above: [], below: [], bend: false,
  }));
  const join = (a, offsetA, b, offsetB) => {
    parts[a].below.push([b, offsetA, offsetB]);
    parts[b].above.push([a, offsetB, offsetA]);
  };
  const ofSource = new Map();
  const chains = segments.map(([from, fromOffset, to, toOffset]) => {
    const key = `${from},${fromOffset}`;
    if (!ofSource.has(key)) ofSource.set(key, []);
    const chain = ofSource.get(key);
    const bends = ranks[to] - ranks[from] - 1;
    while (chain.length < bends) {
      const rank = ranks[from] + 1 + chain.length;
      const index = parts.push({ width: 2, height: 0, rank, above: [], below: [], bend: true }) - 1;
      if (chain.length) join(chain.at(-1), 0, index, 0);
      else join(from, fromOffset, index, 0);
      chain.push(index);
    }
    if (bends > 0) join(chain[bends - 1], 0, to, toOffset);
    else join(from, fromOffset, to, toOffset);
    return chain;
  });
  return { parts, chains };
}

function placesIn(rows, length) {
  const places = new Array(length);
  for (const row of rows) row.forEach((index, place) => (places[index] = place));
  return places;
}

function crossings(parts, rows, places) {
  let count = 0;
  for (const row of rows) {
    const ends = [];
    for (const a of row) {
      const lines = parts[a].below;
      if (lines.length === 1) ends.push(places[lines[0][0]]);
      else for (const [b] of sortedLines(lines, places)) ends.push(places[b]);
    }
    count += inversions(ends);
  }
  return count;
}

// As they leave one part, from left to right.
function sortedLines(lines, places) {
  return [...lines].sort((one, other) => one[1] - other[1] || places[one[0]] - places[other[0]]);
}

// Pairs of numbers of which the larger comes first, counted with a Fenwick tree.
function inversions(ends) {
  let sorted = true;
  for (let i = 1; i < ends.length && sorted; i += 1) sorted = ends[i] >= ends[i - 1];
  if (sorted) return 0;
  const tree = new Int32Array(Math.max(...ends) + 2);
  let count = 0;
  ends.forEach((end, before) => {
    let notLarger = 0;
    for (let i = end + 1; i > 0; i -= i & -i) notLarger += tree[i];
    count += before - notLarger;
    for (let i = end + 1; i < tree.length; i += i & -i) tree[i] += 1;
  });
  return count;
}

// Each row is ordered by where its neighbours lie, downwards and upwards in turn; the best is kept.
// Mostly long lines that cross in any order (DenseNet) stay in the given one, as a straight bus.
function fewCrossings(parts, rows, items) {
  const given = rows.map((row) => [...row]);
  let best = given;
  const current = rows.map((row) => [...row]);
  const places = placesIn(current, parts.length);
  let fewest = crossings(parts, current, places);
  for (let sweep = 0, idle = 0; sweep < SWEEPS && fewest > 0 && idle < 4; sweep += 1) {
    if (sweep === 2 && parts.length > 2 * items && fewest > items) return given;
    const down = sweep % 2 === 0;
    const order = down ? current.slice(1) : current.slice(0, -1).reverse();
    for (const row of order) sortByNeighbours(parts, row, places, down);
    const count = crossings(parts, current, places);
    idle = count < fewest ? 0 : idle + 1;
    if (count < fewest) {
      fewest = count;
      best = current.map((row) => [...row]);
    }
  }
  return best;
}

function sortByNeighbours(parts, row, places, down) {
  if (row.length < 2) return;
  const middle = new Map();
  for (const a of row) {
    const near = down ? parts[a].above : parts[a].below;
    let sum = 0;
    for (const line of near) sum += places[line[0]] + line[2] / (parts[line[0]].width + 1);
    middle.set(a, near.length ? sum / near.length : places[a]);
  }
  row.sort((a, b) => middle.get(a) - middle.get(b) || places[a] - places[b]);
  row.forEach((a, place) => (places[a] = place));
}

function placedInRows(items, parts, rows) {
  const better = fewCrossings(parts, rows, items.length);
  const x = placed(parts, better, placesIn(better, parts.length), GAP);
  const only = (side) => {
    const found = items.flatMap(([, , kind], index) => (kind === side ? [index] : []));
    return found.length === 1 ? found[0] : null;
  };
  const [entrance, exit] = [only("in"), only("out")];
  // one way in and one way out: at the same x, else a chain of boxes drifts sideways
  if (entrance !== null && exit !== null) x[exit] = x[entrance];
  return x;
}

function extent(parts, x) {
  let [low, high] = [Infinity, -Infinity];
  for (let index = 0; index < parts.length; index += 1) {
    const half = parts[index].width / 2;
    if (x[index] - half < low) low = x[index] - half;
    if (x[index] + half > high) high = x[index] + half;
  }
  return [low, high];
}

// The pieces of line, each there once, and the numbers of those that each segment consists of.
function routed(items, segments, ranks, parts, chains, rows, x) {
  const [low, high] = parts.length ? extent(parts, x) : [0, 0];
  const { tops, bottoms, end } = bands(parts, rows, x);
  const hasPorts = items.some(([, , kind]) => kind === "out");
  const start = items.some(([, , kind]) => kind === "in") ? 0 : MARGIN; // ports lie on the border
  const middle = (index) => (tops[ranks[index]] + bottoms[ranks[index]]) / 2;
  const pieces = [];
  const piece = (x0, y0, x1, y1) => pieces.push([x0 - low, y0 + start, x1 - low, y1 + start]) - 1;
  const trunk = (from, x0, chain) => {
    const found = [piece(x0, middle(from) + items[from][1] / 2, x0, bottoms[ranks[from]])];
    let before = x0;
    for (const bend of chain) {
      const { rank } = parts[bend];
      found.push(piece(before, bottoms[rank - 1], x[bend], tops[rank]));
      found.push(piece(x[bend], tops[rank], x[bend], bottoms[rank]));
      before = x[bend];
    }
    return found;
  };
  const [trunks, arrivals] = [new Map(), new Map()];
  const routes = segments.map(([from, fromOffset, to, toOffset], index) => {
    const [x0, x1, chain] = [x[from] + fromOffset, x[to] + toOffset, chains[index]];
    const [bends, top] = [ranks[to] - ranks[from] - 1, tops[ranks[to]]];
    if (!trunks.has(chain)) trunks.set(chain, trunk(from, x0, chain));
    const place = `${to},${toOffset}`;
    if (!arrivals.has(place)) arrivals.set(place, piece(x1, top, x1, middle(to) - items[to][1] / 2));
    const route = trunks.get(chain).slice(0, 1 + 2 * bends);
    const last = bends > 0 ? x[chain[bends - 1]] : x0;
    route.push(piece(last, bottoms[ranks[to] - 1], x1, top), arrivals.get(place));
    return route;
  });
  return {
    width: high - low,
    height: end + start + (hasPorts ? 0 : MARGIN),
    x: items.map((_, index) => x[index] - low),
    y: items.map((_, index) => middle(index) + start),
    pieces,
    routes,
  };
}

// Top and bottom of each rank; the more a line must move sideways, the more room below it.
function bands(parts, rows, x) {
  const [tops, bottoms] = [[], []];
  let y = 0;
  rows.forEach((row, rank) => {
    const height = Math.max(0, ...row.map((index) => parts[index].height));
    let aside = 0;
    for (const a of row) {
      for (const line of parts[a].below) {
        aside = Math.max(aside, Math.abs(x[a] + line[1] - x[line[0]] - line[2]));
      }
    }
    tops.push(y);
    bottoms.push(y + height);
    const isLast = rank === rows.length - 1;
    y += height + (isLast || (rank === 0 && !row.length) ? 0 : Math.min(40, 14 + aside * 0.07));
  });
  return { tops, bottoms, end: y };
}
