// Which rank each item is on, and the bends of lines that pass others.

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
