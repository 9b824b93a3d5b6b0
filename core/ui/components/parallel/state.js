// What a person arranged: JSON in the address, so it may say anything.

// The view that the page knows, as far as it is one.
function stateOf(text) {
  let said = {};
  try {
    said = JSON.parse(text || "{}") ?? {};
  } catch {
    said = {}; // a link that was cut: the view as at first
  }
  const list = (value) => (Array.isArray(value) ? value.filter((name) => typeof name === "string") : []);
  const record = (value) => (value && typeof value === "object" && !Array.isArray(value) ? value : {});
  const brushes = Object.entries(record(said.brushes)).map(([name, brush]) => [name, brushOf(record(brush), list)]);
  return {
    order: list(said.order),
    scales: record(said.scales),
    flipped: list(said.flipped),
    colour: typeof said.colour === "string" ? said.colour : null,
    brushes: Object.fromEntries(brushes),
  };
}

function brushOf(said, list) {
  const brush = {};
  for (const key of ["words", "among"]) if (list(said[key]).length) brush[key] = list(said[key]);
  const ends = Array.isArray(said.range) ? said.range.filter(Number.isFinite) : [];
  if (ends.length === 2) brush.range = ends;
  return brush;
}
