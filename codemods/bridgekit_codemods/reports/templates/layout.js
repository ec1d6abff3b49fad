// Where everything stands: bands by call depth, in them packages, in them modules, in them functions.
// World units are pixels at zoom 1. Nothing here knows about the screen.

const CELL_W = 150, CELL_H = 16, GAP = 3, CARD_PAD = 6, CARD_HEAD = 18, BOX_PAD = 10, BOX_HEAD = 26;
const BANDS = 6, ASPECT = 1.6;

// Rows of boxes, tallest first, no wider than the width (unless one box alone is).
function shelves(boxes, width, gap, rowGap = gap) {
  let x = 0, y = 0, row = 0, right = 0;
  for (const box of boxes) {
    if (x > 0 && x + box.w > width) {
      x = 0;
      y += row + rowGap;
      row = 0;
    }
    box.x = x;
    box.y = y;
    x += box.w + gap;
    row = Math.max(row, box.h);
    right = Math.max(right, box.x + box.w);
  }
  return { w: right, h: y + row };
}

// A card holds the functions of a module (or the library calls that wait for one thing) as cells.
function makeCard(title, members, kind) {
  const columns = Math.max(1, Math.round(Math.sqrt((members.length * (CELL_H + GAP) * 1.6) / CELL_W)));
  const rows = Math.ceil(members.length / columns);
  return {
    title, members, kind, rows, columns,
    w: columns * (CELL_W + GAP) - GAP + 2 * CARD_PAD,
    h: CARD_HEAD + rows * (CELL_H + GAP) - GAP + CARD_PAD,
    x: 0, y: 0,
  };
}

function makeBox(title, cards, owner) {
  cards.sort((a, b) => b.h - a.h || (a.title < b.title ? -1 : 1));
  return { title, cards, owner, x: 0, y: 0, w: 0, h: 0 };
}

// Puts the cards of a box in rows; the box is that many times as wide as it is high, more or less.
function shape(box, aspect) {
  const area = box.cards.reduce((sum, card) => sum + (card.w + 8) * (card.h + 8), 0);
  const widest = Math.max(...box.cards.map((card) => card.w));
  const size = shelves(box.cards, Math.max(widest, Math.sqrt(area * aspect)), 8);
  box.w = size.w + 2 * BOX_PAD;
  box.h = size.h + BOX_HEAD + BOX_PAD;
}

// Stacks the bands, each of one or more rows of boxes, into a whole of about the wanted shape.
function stackBands(bands) {
  let best = null;
  // Seen from afar a name needs room above its box: the more there is, the more room.
  const cells = bands.flat().flatMap((box) => box.cards).reduce((sum, card) => sum + card.w * card.h, 1);
  const rowGap = Math.max(30, Math.sqrt(cells) / 32), bandGap = Math.max(70, rowGap * 1.5);
  for (const aspect of [1, 1.6, 2.5, 4, 6, 9]) {
    for (const band of bands) {
      for (const box of band) shape(box, aspect);
      band.sort((a, b) => b.h - a.h || (a.title < b.title ? -1 : 1));
    }
    const stack = (width) => bands.map((band) => shelves(band, width, 24, rowGap));
    const heightOf = (sizes) => sizes.reduce((sum, size) => sum + size.h + bandGap, -bandGap);
    let width = bands.flat().reduce((most, box) => Math.max(most, box.w), 1), sizes = stack(width);
    while (width < heightOf(sizes) * ASPECT && Math.max(...sizes.map((size) => size.w)) > width * 0.8) {
      width *= 1.08;
      sizes = stack(width);
    }
    const height = Math.max(heightOf(sizes), 1);
    const fault = Math.abs(Math.log(width / height / ASPECT)) + Math.log(width * height) * 0.3;
    if (!best || fault < best.fault) best = { fault, aspect, width };
  }
  for (const band of bands) {
    for (const box of band) shape(box, best.aspect);
    band.sort((a, b) => b.h - a.h || (a.title < b.title ? -1 : 1));
  }
  let y = 0;
  for (const band of bands) {
    const size = shelves(band, best.width, 24, rowGap);
    const lines = new Map();
    for (const box of band) lines.set(box.y, [...(lines.get(box.y) || []), box]);
    // Every row is centred; what room is left goes between its boxes, as far as that looks well.
    for (const line of lines.values()) {
      const used = line.reduce((sum, box) => sum + box.w, 0);
      const gap = line.length > 1 ? Math.min((best.width - used) / (line.length - 1), 90) : 0;
      let x = (best.width - used - gap * (line.length - 1)) / 2;
      for (const box of line) {
        box.x = x;
        box.y += y;
        x += box.w + gap;
      }
    }
    y += size.h + bandGap;
  }
  return { width: best.width, height: Math.max(y - bandGap, 1) };
}

function makeLayout() {
  const modules = data.modules.map(() => ({ members: [], sum: 0, weight: 0 }));
  for (let f = 0; f < COUNT; f++) {
    const module = modules[F.module[f]];
    module.members.push(f);
    const below = F.height[f] + (leavesOf[f].length ? 1 : 0);
    const above = F.depth[f] + (isEntry(f) ? 0 : F.depth[f] ? 0.5 : 0);
    if (above + below > 0) {
      module.sum += isEntry(f) ? 0 : above / (above + below);
      module.weight++;
    }
  }
  const bands = Array.from({ length: BANDS + 1 }, () => new Map());
  modules.forEach((module, number) => {
    if (!module.members.length) return;
    const middle = module.weight ? module.sum / module.weight : 1;
    const band = module.weight ? Math.min(BANDS - 1, Math.floor(middle * BANDS)) : BANDS;
    const [name, , owner] = data.modules[number];
    const order = (a, b) => Number(isEntry(b)) - Number(isEntry(a)) || F.line[a] - F.line[b];
    const card = makeCard(name, module.members.sort(order), "module");
    if (!bands[band].has(owner)) bands[band].set(owner, []);
    bands[band].get(owner).push(card);
  });
  const rows = bands.map((packages) => {
    const boxes = [...packages].map(([owner, cards]) => makeBox(data.packages[owner], cards, owner));
    return { boxes };
  });

  // The library calls that block are nodes of their own, in the last band but the one of loners.
  const uses = new Map();
  for (let f = 0; f < COUNT; f++) {
    for (const leaf of leavesOf[f]) {
      if (leaf.kind !== "call") continue;
      if (!uses.has(leaf.target)) uses.set(leaf.target, { effect: leaf.effect, users: new Set() });
      uses.get(leaf.target).users.add(f);
    }
  }
  const leaves = [...uses].map(([target, { effect, users }]) => ({
    name: data.targets[target], effect, users: [...users],
  }));
  leaves.sort((a, b) => b.users.length - a.users.length || (a.name < b.name ? -1 : 1));
  const libraries = data.effects
    .map((effect, number) => ({
      effect,
      members: leaves.map((_, at) => COUNT + at).filter((n) => leaves[n - COUNT].effect === number),
    }))
    .filter(({ members }) => members.length)
    .map(({ effect, members }) => makeBox(effect, [makeCard("library calls", members, "library")], -1));
  rows.splice(BANDS, 0, { boxes: libraries });

  const every = rows.flatMap((row) => row.boxes);
  const { width, height } = stackBands(rows.map((row) => row.boxes).filter((band) => band.length));

  const nodes = COUNT + leaves.length;
  const X = new Float32Array(nodes), Y = new Float32Array(nodes), cardOf = new Array(nodes);
  const boxes = [], cards = [];
  for (const box of every) {
    boxes.push(box);
    box.number = boxes.length - 1;
    for (const card of box.cards) {
      card.box = box;
      card.number = cards.length;
      cards.push(card);
      card.x += box.x + BOX_PAD;
      card.y += box.y + BOX_HEAD;
      card.members.forEach((node, at) => {
        X[node] = card.x + CARD_PAD + Math.floor(at / card.rows) * (CELL_W + GAP);
        Y[node] = card.y + CARD_HEAD + (at % card.rows) * (CELL_H + GAP);
        cardOf[node] = card;
      });
    }
  }
  // Packages are named without what all their names begin with.
  const parts = boxes.filter((box) => box.owner >= 0).map((box) => box.title.split("."));
  let shared = 0;
  while (parts.length > 1 && parts.every((p) => p.length > shared + 1 && p[shared] === parts[0][shared])) shared++;
  for (const box of boxes) {
    box.label = box.owner < 0 ? box.title : box.title.split(".").slice(shared).join(".");
  }
  // The last part alone will do where there is little room, unless several packages end in it.
  const endings = new Map();
  for (const label of new Set(boxes.map((box) => box.label))) {
    const ending = label.slice(label.lastIndexOf(".") + 1);
    endings.set(ending, (endings.get(ending) || 0) + 1);
  }
  for (const box of boxes) {
    const ending = box.label.slice(box.label.lastIndexOf(".") + 1);
    box.brief = endings.get(ending) > 1 ? box.label : ending;
  }
  return {
    X, Y, cardOf, cards, boxes, leaves, w: width, h: height,
  };
}
