// The program: what the page was made from, and the questions that every part asks of it.

const data = JSON.parse(document.getElementById("program").textContent);
const F = data.functions;
const COUNT = F.name.length;
const COLOUR_NAMES = ["pure", "blocking", "native"];
const PURE = 0, BLOCKING = 1, NATIVE = 2;
const WAITS = 1, BRIDGED = 2, STRIDE = 5;
const LEAF_KINDS = ["call", "lazy load", "facade"];

// Edges as two adjacency lists in flat arrays: those of function f are at start[f] .. start[f + 1].
function adjacency(from, to) {
  const edges = data.edges, total = edges.length / STRIDE;
  const start = new Int32Array(COUNT + 1);
  for (let e = 0; e < total; e++) start[edges[STRIDE * e + from] + 1]++;
  for (let f = 0; f < COUNT; f++) start[f + 1] += start[f];
  const other = new Int32Array(total), line = new Int32Array(total), flags = new Uint8Array(total);
  const why = new Uint32Array(total);
  const next = start.slice();
  for (let e = 0; e < total; e++) {
    const at = next[edges[STRIDE * e + from]]++;
    other[at] = edges[STRIDE * e + to];
    line[at] = edges[STRIDE * e + 2];
    flags[at] = edges[STRIDE * e + 3];
    why[at] = edges[STRIDE * e + 4];
  }
  return { start, other, line, flags, why };
}
const callees = adjacency(0, 1), callers = adjacency(1, 0);

const leavesOf = Array.from({ length: COUNT }, () => []);
for (let i = 0; i < data.leaves.length; i += 5) {
  const [f, line, target, effect, kind] = data.leaves.slice(i, i + 5);
  leavesOf[f].push({ line, target, effect, kind: LEAF_KINDS[kind] });
}
const findingsOf = Array.from({ length: COUNT }, () => []);
for (const [f, path, line, code, reason, remedy] of data.findings) {
  findingsOf[f].push({ path, line, code, reason, remedy });
}

const suspectsOf = Array.from({ length: COUNT }, () => []);
for (const [f, path, line, target, effect, reason] of data.suspects) {
  suspectsOf[f].push({ path, line, target, effect, reason });
}

const moduleOf = (f) => data.modules[F.module[f]];
const packageOf = (f) => moduleOf(f)[2];
const pathOf = (f) => moduleOf(f)[1];
const fullName = (f) => `${moduleOf(f)[0]}.${F.name[f]}`;
const placeOf = (f) => `${pathOf(f)}:${F.line[f]}`;
const lastName = (f) => F.name[f].slice(F.name[f].lastIndexOf(" ") + 1);
const isEntry = (f) => F.kind[f] >= 0;
const effectNames = (f) => data.effects.filter((_, bit) => F.effects[f] & (1 << bit));
const lowerNames = Array.from({ length: COUNT }, (_, f) => fullName(f).toLowerCase());

// The functions through which one blocks: itself, what it calls, ... down to the blocking call.
function reasonOf(f) {
  const chain = [];
  for (let at = f; at >= 0 && !chain.includes(at); at = F.via[at]) chain.push(at);
  return chain;
}

// A shortest way to f from the outside: an entry point first, f last.
function wayTo(f) {
  const before = new Map([[f, -1]]);
  for (const at of before.keys()) {
    if (isEntry(at)) {
      const way = [];
      for (let step = at; step >= 0; step = before.get(step)) way.push(step);
      return way;
    }
    for (let e = callers.start[at]; e < callers.start[at + 1]; e++) {
      if (!before.has(callers.other[e])) before.set(callers.other[e], at);
    }
  }
  return [f];
}

// The shortest way from an entry point to every function that blocks by itself, nearest first.
function blockingPaths(entry) {
  const before = new Map([[entry, -1]]);
  const found = [];
  for (const at of before.keys()) {
    if (leavesOf[at].length) {
      const way = [];
      for (let step = at; step >= 0; step = before.get(step)) way.push(step);
      found.push(way.reverse());
    }
    for (let e = callees.start[at]; e < callees.start[at + 1]; e++) {
      const next = callees.other[e];
      if (callees.flags[e] & WAITS && !before.has(next)) before.set(next, at);
    }
  }
  return found;
}

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "click") made.addEventListener("click", value);
    else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

const plural = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
