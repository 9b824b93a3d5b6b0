// A layered drawing of one group (Sugiyama): ranks from top to bottom, few crossings, straight
// lines. Lines run straight through a rank's band and bend only between bands, so none crosses a
// box. Items: [width, height, "node" | "in" | "out"]; segments: [from, offset, to, offset], the
// offsets from the items' middles.

const GAP = 14;
const MARGIN = 10;

function layered(items, segments) {
  const ranks = ranked(items, segments);
  const { parts, chains } = withBends(items, segments, ranks);
  const rows = Array.from({ length: Math.max(0, ...ranks) + 1 }, () => []);
  parts.forEach((part, index) => rows[part.rank].push(index));
  const x = placedInRows(items, parts, rows);
  return routed(items, segments, ranks, parts, chains, rows, x);
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
