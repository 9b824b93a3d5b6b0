// The order within each rank, so that few lines cross.

const SWEEPS = 12;

function placesIn(rows, length) {
  const places = new Int32Array(length);
  for (const row of rows) row.forEach((index, place) => (places[index] = place));
  return places;
}

function crossings(parts, rows, places) {
  let count = 0;
  const ends = [];
  for (const row of rows) {
    ends.length = 0;
    for (const a of row) {
      const lines = parts[a].below;
      if (lines.length > 1) inOrder(lines, places);
      for (let i = 0; i < lines.length; i += 1) ends.push(places[lines[i][0]]);
    }
    count += inversions(ends);
  }
  return count;
}

// Puts the lines of one part in the order in which they leave it, from left to right.
function inOrder(lines, places) {
  lines.sort((one, other) => one[1] - other[1] || places[one[0]] - places[other[0]]);
}

// Pairs of numbers of which the larger comes first, counted with a Fenwick tree.
function inversions(ends) {
  let sorted = true;
  for (let i = 1; i < ends.length && sorted; i += 1) sorted = ends[i] >= ends[i - 1];
  if (sorted) return 0;
  const tree = new Int32Array(Math.max(...ends) + 2);
  let count = 0;
  for (let before = 0; before < ends.length; before += 1) {
    let notLarger = 0;
    for (let i = ends[before] + 1; i > 0; i -= i & -i) notLarger += tree[i];
    count += before - notLarger;
    for (let i = ends[before] + 1; i < tree.length; i += i & -i) tree[i] += 1;
  }
  return count;
}

// Each row is ordered by where its neighbours lie, downwards and upwards in turn; the best is kept.
// Mostly long lines that cross in any order (DenseNet) stay in the given one, as a straight bus.
function fewCrossings(parts, rows, items) {
  const given = rows.map((row) => [...row]);
  let best = given;
  const current = rows.map((row) => [...row]);
  const places = placesIn(current, parts.length);
  const middles = new Float64Array(parts.length);
  let fewest = crossings(parts, current, places);
  for (let sweep = 0, idle = 0; sweep < SWEEPS && fewest > 0 && idle < 4; sweep += 1) {
    if (sweep === 2 && parts.length > 2 * items && fewest > items) return given;
    const down = sweep % 2 === 0;
    const order = down ? current.slice(1) : current.slice(0, -1).reverse();
    for (const row of order) sortByNeighbours(parts, row, places, middles, down);
    const count = crossings(parts, current, places);
    idle = count < fewest ? 0 : idle + 1;
    if (count < fewest) {
      fewest = count;
      best = current.map((row) => [...row]);
    }
  }
  return best;
}

function sortByNeighbours(parts, row, places, middles, down) {
  if (row.length < 2) return;
  for (const a of row) {
    const near = down ? parts[a].above : parts[a].below;
    let sum = 0;
    for (let i = 0; i < near.length; i += 1) {
      const other = near[i][0];
      sum += places[other] + near[i][2] / (parts[other].width + 1);
    }
    middles[a] = near.length ? sum / near.length : places[a];
  }
  row.sort((a, b) => middles[a] - middles[b] || places[a] - places[b]);
  for (let place = 0; place < row.length; place += 1) places[row[place]] = place;
}
