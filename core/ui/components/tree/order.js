// Which rows are seen, and in which order.

// The rows whose holders are all open, as in the tree; sorted by a column, without the tree.
function seen(rows, folded, columns, sorted) {
  const shut = rows.holders.map(() => false);
  const found = [];
  rows.holders.forEach((holder, row) => {
    shut[row] = holder >= 0 && (shut[holder] || folded.has(holder));
    if (!shut[row]) found.push(row);
  });
  return sorted ? found.sort(byColumn(sorted.column < 0 ? rows.names : columns[sorted.column].values, sorted.down)) : found;
}

// What is missing comes last, whichever way.
function byColumn(values, down) {
  return (a, b) => {
    const [x, y] = [values[a], values[b]];
    const [noX, noY] = [x === null || x === "", y === null || y === ""];
    if (noX || noY) return noX - noY || a - b;
    const order = typeof x === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
    return (down ? -order : order) || a - b;
  };
}

function depths(holders) {
  const found = [];
  holders.forEach((holder, row) => (found[row] = holder < 0 ? 0 : found[holder] + 1));
  return found;
}

// The way to sort that an address says: a title, after a - where the largest come first.
function orderOf(said, titles) {
  const column = titles.indexOf(said.replace(/^-/, "")) - 1;
  return said && column >= -1 ? { column, down: said.startsWith("-") } : null;
}

// The next way to sort by a column: amounts from the largest, text from the first, then the tree.
function nextSort(sorted, column, amount) {
  if (!sorted || sorted.column !== column) return { column, down: amount };
  return sorted.down === amount ? { column, down: !amount } : null;
}
