// The tree of layer calls, what of it is visible while some calls are open, and how the tensors
// between its boxes enter and leave the open ones. No page here: only data.

function buildTree(graph) {
  const root = { id: "", children: [], size: 0, layer: "" };
  const items = graph.items.map(([id, parent, group, name, run, operator, layer, shape, values]) => ({
    id, parent, group: group === 1, name, run, operator, layer, shape, values, children: [], size: 0,
  }));
  for (const item of items) {
    item.parent = item.parent < 0 ? root : items[item.parent];
    item.parent.children.push(item);
    if (!item.group) for (let outer = item.parent; outer; outer = outer.parent) outer.size += 1;
  }
  const edges = graph.edges.map(([source, target]) => [items[source], items[target]]);
  return { root, items, edges, byId: new Map(items.map((item) => [item.id, item])) };
}

const LONGEST = 48; // letters of a name in a box; all of it is in the facts

function label(item) {
  const named = shortened(item.name);
  const name = item.run ? `${named} (run ${item.run + 1})` : named;
  if (item.group && !/(^|\.)\d+$/.test(item.name)) return name; // a number alone says too little
  if (item.name === item.operator || !item.operator) return name;
  return name ? `${name} · ${shortened(item.operator)}` : shortened(item.operator);
}

// Cut in the middle, where names differ least.
function shortened(text) {
  const half = (LONGEST - 1) / 2;
  return text.length > LONGEST ? `${text.slice(0, half)}…${text.slice(-half)}` : text;
}

const FEW = 12; // boxes at first: fewer are unfolded a level further
const MANY = 30; // unless that gave more than these
const FEWEST = 8; // fewer say nothing: the largest group is unfolded whatever it holds

// Opened at first: whatever holds most of the network, so that one box is never all there is; then
// whole levels, so that alike groups are alike.
function openAtFirst(tree) {
  const open = new Set();
  let shown = tree.root.children;
  for (;;) {
    const groups = shown.filter((item) => item.group);
    const share = shown.length < FEWEST ? 0.6 : 0.9;
    const most = groups.find((item) => item.size > share * tree.root.size);
    const more = groups.reduce((sum, item) => sum + item.children.length - 1, 0);
    const enough = shown.length >= FEW || shown.length + more > MANY;
    if (!groups.length || (!most && enough)) return open;
    const opened = most ? [most] : groups;
    for (const item of opened) open.add(item.id);
    shown = shown.flatMap((item) => (opened.includes(item) ? item.children : [item]));
  }
}

function makeBox(item, outer) {
  const depth = outer ? outer.depth + 1 : 0;
  return { item, outer, depth, open: false, children: [], ports: [], segments: new Map(), pieces: [] };
}

// Boxes for the open set of ids. A link is a pair of boxes and stands for all tensors between them.
function visible(tree, open) {
  const root = makeBox(tree.root, null);
  const shownIn = new Map(); // item -> the box that stands for it
  const boxes = new Map();
  const hide = (item, box) => {
    shownIn.set(item, box);
    for (const child of item.children) hide(child, box);
  };
  const show = (item, outer) => {
    for (const child of item.children) {
      const box = makeBox(child, outer);
      boxes.set(child.id, box);
      outer.children.push(box);
      box.open = child.group && open.has(child.id);
      if (box.open) show(child, box);
      else hide(child, box);
    }
  };
  root.open = true;
  show(tree.root, root);
  const view = { root, boxes, shownIn, links: links(tree, shownIn) };
  cutAtBorders(view);
  return view;
}

function links(tree, shownIn) {
  const found = new Map(); // source box -> target box -> link
  for (const [from, to] of tree.edges) {
    const source = shownIn.get(from);
    const target = shownIn.get(to);
    if (source === target) continue;
    if (!found.has(source)) found.set(source, new Map());
    found.get(source).set(target, { source, target, path: [] });
  }
  return [...found.values()].flatMap((targets) => [...targets.values()]);
}

// Open boxes that a line leaves, from inside, and then enters, from outside.
function crossedBorders(source, target) {
  const [leaves, enters] = [[], []];
  let [from, to] = [source.outer, target.outer];
  while (from !== to) {
    if (from.depth >= to.depth) {
      leaves.push(from);
      from = from.outer;
    } else {
      enters.push(to);
      to = to.outer;
    }
  }
  return { leaves, enters: enters.reverse() };
}

// Each link becomes segments, one a level, that meet in ports on the borders of open boxes.
function cutAtBorders(view) {
  for (const link of view.links) Object.assign(link, crossedBorders(link.source, link.target));
  const entrances = sharedEntrances(view.links);
  const exits = new Map();
  for (const link of view.links) {
    let [from, level] = [link.source, link.source.outer];
    for (const box of link.leaves) {
      if (!exits.has(box)) exits.set(box, new Map());
      if (!exits.get(box).has(link.source)) exits.get(box).set(link.source, addPort(box, "out"));
      const port = exits.get(box).get(link.source);
      link.path.push(addSegment(level, from, port));
      [from, level] = [port, box.outer];
    }
    for (const box of link.enters) {
      const port = entrances.get(box).get(link.source);
      link.path.push(addSegment(level, from, port));
      [from, level] = [port, box];
    }
    link.path.push(addSegment(level, from, link.target));
  }
}

// Sources that the same boxes inside read share one port: fewer lines, and nothing is lost.
function sharedEntrances(allLinks) {
  const readers = new Map(); // box -> source -> targets
  for (const link of allLinks) {
    for (const box of link.enters) {
      if (!readers.has(box)) readers.set(box, new Map());
      const sources = readers.get(box);
      if (!sources.has(link.source)) sources.set(link.source, []);
      sources.get(link.source).push(link.target.item.id);
    }
  }
  const entrances = new Map();
  for (const [box, sources] of readers) {
    const ports = new Map();
    const ofSource = new Map();
    for (const [source, targets] of sources) {
      const key = targets.sort().join("\n");
      if (!ports.has(key)) ports.set(key, addPort(box, "in"));
      ofSource.set(source, ports.get(key));
    }
    entrances.set(box, ofSource);
  }
  return entrances;
}

function addPort(box, side) {
  const port = { box, side, x: 0 };
  box.ports.push(port);
  return port;
}

function addSegment(level, from, to) {
  if (!level.segments.has(from)) level.segments.set(from, new Map());
  const targets = level.segments.get(from);
  if (!targets.has(to)) targets.set(to, { level, from, to, route: [] });
  return targets.get(to);
}
