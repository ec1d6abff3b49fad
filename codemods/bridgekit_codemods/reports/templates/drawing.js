// Draws the layout on a canvas. Three levels of detail: packages, modules, functions. A frame draws
// only what the view shows; the bundles of edges are paths that are made once.

const LEVELS = ["packages", "modules", "functions"];
const CELL_PIXELS = 3.2, NAME_PIXELS = 10;
const CURVES_IN_MOTION = 90, CURVES_AT_REST = 500;

function makePainter(canvas, layout) {
  const context = canvas.getContext("2d", { alpha: false });
  const { X, Y, cardOf, cards, boxes } = layout;
  let palette = {}, stripes = null;
  let ratio = 1, width = 1, height = 1;

  function readPalette() {
    const style = getComputedStyle(document.documentElement);
    const names = ["page", "box", "card", "line", "text", "soft", "pure", "blocking", "native",
      "leaf", "bridge", "focus", "hatch", "pure-ink", "blocking-ink", "native-ink", "leaf-ink"];
    palette = Object.fromEntries(names.map((n) => [n, style.getPropertyValue(`--${n}`).trim()]));
    stripes = makeStripes();
  }

  // Where there is no room for glyphs, what blocks is striped as well as orange.
  function makeStripes() {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const pen = tile.getContext("2d");
    pen.strokeStyle = palette.hatch;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (const at of [-6, 0, 6]) {
      pen.moveTo(at - 1, 7);
      pen.lineTo(at + 7, -1);
    }
    pen.stroke();
    return context.createPattern(tile, "repeat");
  }

  function fillStriped(path, zoom) {
    stripes.setTransform(new DOMMatrix().scale(1 / zoom));
    context.fillStyle = stripes;
    if (path) context.fill(path);
    else context.fill();
  }

  function resize() {
    const box = canvas.getBoundingClientRect();
    ratio = Math.min(window.devicePixelRatio || 1, 2);
    width = Math.max(box.width, 1);
    height = Math.max(box.height, 1);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }

  const colourOf = (node) => (node >= COUNT ? "leaf" : COLOUR_NAMES[F.colour[node]]);
  // Facades and coroutine functions on one side, blocking functions on the other.
  const crosses = (a, b) => a < COUNT && b < COUNT && F.colour[a] + F.colour[b] === 3;

  // Edges between whole things: one curve for all calls from one to the other, in few paths.
  function bundles(ownerOf, anchors, cap) {
    const found = new Map();
    const add = (a, b, kind) => {
      const from = ownerOf(a), to = ownerOf(b);
      if (from === to) return;
      const key = from.number * 1e6 + to.number;
      const known = found.get(key) || { from, to, size: 0, kinds: {} };
      known.size++;
      known.kinds[kind] = (known.kinds[kind] || 0) + 1;
      found.set(key, known);
    };
    for (let f = 0; f < COUNT; f++) {
      for (let e = callees.start[f]; e < callees.start[f + 1]; e++) {
        const other = callees.other[e];
        add(f, other, crosses(f, other) ? "bridge" : COLOUR_NAMES[F.colour[other]]);
      }
    }
    layout.leaves.forEach((leaf, at) => leaf.users.forEach((f) => add(f, COUNT + at, "leaf")));
    const sorted = [...found.values()].sort((a, b) => b.size - a.size).slice(0, cap);
    const paths = new Map();
    for (const bundle of sorted) {
      const kind = Object.entries(bundle.kinds).sort((a, b) => b[1] - a[1])[0][0];
      const strength = Math.min(5, 1 + Math.floor(Math.log2(bundle.size)));
      const key = `${kind} ${strength}`;
      if (!paths.has(key)) paths.set(key, { kind, strength, path: new Path2D(), curves: 0 });
      paths.get(key).curves++;
      anchors(paths.get(key).path, bundle.from, bundle.to);
    }
    // The strongest last, on top. In motion only as many are drawn as every machine can.
    const groups = [...paths.values()].sort((a, b) => a.strength - b.strength);
    let curves = 0;
    for (const group of [...groups].reverse()) {
      group.isFleeting = curves > 0 && curves + group.curves > CURVES_IN_MOTION;
      curves += group.curves;
    }
    return groups;
  }

  function curve(path, x1, y1, x2, y2) {
    const bend = Math.max(Math.abs(y2 - y1) * 0.5, 40);
    const down = y2 >= y1 ? 1 : -1;
    path.moveTo(x1, y1);
    path.bezierCurveTo(x1, y1 + bend * down, x2, y2 - bend * down, x2, y2);
  }

  const ends = (a, b) => (a.y + a.h <= b.y ? [a.y + a.h, b.y] : b.y + b.h <= a.y ? [a.y, b.y + b.h]
    : [a.y + a.h, b.y + b.h]);

  function joinBoxes(path, a, b) {
    const [y1, y2] = ends(a, b);
    curve(path, a.x + a.w / 2, y1, b.x + b.w / 2, y2);
  }

  // Through the edges of the packages, so that what goes the same way runs together.
  function joinCards(path, a, b) {
    const x1 = a.x + a.w / 2, x2 = b.x + b.w / 2;
    if (a.box === b.box) {
      const [y1, y2] = ends(a, b);
      curve(path, x1, y1, x2, y2);
      return;
    }
    const [y1, y2] = ends(a.box, b.box);
    const m1 = a.box.x + a.box.w / 2, m2 = b.box.x + b.box.w / 2;
    const bend = Math.max(Math.abs(y2 - y1) * 0.5, 40) * (y2 >= y1 ? 1 : -1);
    path.moveTo(x1, a.y + a.h);
    path.quadraticCurveTo(x1, y1, (x1 + m1) / 2, y1);
    path.bezierCurveTo(m1, y1 + bend, m2, y2 - bend, (x2 + m2) / 2, y2);
    path.quadraticCurveTo(x2, y2, x2, b.y);
  }

  const packageBundles = bundles((n) => cardOf[n].box, joinBoxes, 200);
  const moduleBundles = bundles((n) => cardOf[n], joinCards, 500);

  const levelAt = (zoom) => (CELL_H * zoom < CELL_PIXELS ? 0 : CELL_H * zoom < NAME_PIXELS ? 1 : 2);

  function rounded(x, y, w, h, r) {
    context.beginPath();
    if (context.roundRect) context.roundRect(x, y, w, h, r);
    else context.rect(x, y, w, h);
  }

  function clipped(text, room) {
    const long = context.measureText(text).width;
    if (long <= room) return text;
    let kept = Math.min(Math.ceil((text.length * room) / long), text.length - 1);
    while (kept > 0 && context.measureText(`${text.slice(0, kept)}…`).width > room) kept--;
    return kept ? `${text.slice(0, kept).replace(/[.\s]+$/, "")}…` : "";
  }

  function drawBundles(list, zoom, alpha, isMoving) {
    for (const { kind, strength, path, isFleeting } of list) {
      if (isMoving && isFleeting) continue;
      context.globalAlpha = alpha * (0.35 + 0.13 * strength);
      context.strokeStyle = palette[kind];
      context.lineWidth = (0.5 + 0.5 * strength) / zoom;
      context.stroke(path);
    }
    context.globalAlpha = 1;
  }

  // Single calls; the list holds pairs of nodes.
  function drawCalls(pairs, zoom, alpha, thick) {
    const paths = new Map();
    for (const [a, b] of pairs) {
      const kind = crosses(a, b) ? "bridge" : colourOf(b);
      if (!paths.has(kind)) paths.set(kind, new Path2D());
      const x1 = X[a] + CELL_W - 7, x2 = X[b] + CELL_W - 7;
      const down = Y[b] >= Y[a];
      curve(paths.get(kind), x1, Y[a] + (down ? CELL_H : 0), x2, Y[b] + (down ? 0 : CELL_H));
    }
    context.globalAlpha = alpha;
    for (const [kind, path] of paths) {
      context.strokeStyle = palette[kind];
      context.lineWidth = thick / zoom;
      context.stroke(path);
    }
    context.globalAlpha = 1;
  }

  // The glyphs say the colour to those who do not see it: a diamond, a disc, a ring.
  function drawGlyphs(kind, nodes) {
    const size = 3.6;
    context.beginPath();
    for (const node of nodes) {
      const x = X[node] + 8, y = Y[node] + CELL_H / 2;
      if (kind === "blocking" || kind === "leaf") {
        context.moveTo(x, y - size);
        context.lineTo(x + size, y);
        context.lineTo(x, y + size);
        context.lineTo(x - size, y);
        context.closePath();
      } else {
        context.moveTo(x + size * 0.85, y);
        context.arc(x, y, size * 0.85, 0, 7);
      }
    }
    context.fillStyle = context.strokeStyle = palette[kind];
    context.lineWidth = 1;
    if (kind === "pure") context.stroke();
    else context.fill();
  }

  const inView = (view, thing) => thing.x < view.right && thing.x + thing.w > view.left
    && thing.y < view.bottom && thing.y + thing.h > view.top;

  function draw(camera, state) {
    const { zoom } = camera;
    const level = levelAt(zoom);
    const view = {
      left: camera.x, top: camera.y, right: camera.x + width / zoom, bottom: camera.y + height / zoom,
    };
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = palette.page;
    context.fillRect(0, 0, width, height);
    const world = () => {
      context.setTransform(ratio * zoom, 0, 0, ratio * zoom, -camera.x * zoom * ratio, -camera.y * zoom * ratio);
    };
    world();
    const shownBoxes = boxes.filter((box) => inView(view, box));
    const shownCards = cards.filter((card) => inView(view, card));
    context.lineWidth = 1 / zoom;
    for (const box of shownBoxes) {
      rounded(box.x, box.y, box.w, box.h, 10);
      context.fillStyle = palette.box;
      context.fill();
      context.strokeStyle = palette.line;
      context.stroke();
    }
    const calm = state.selected < 0 ? 1 : 0.25;
    if (level === 0) drawBundles(packageBundles, zoom, 0.8 * calm, state.moving);
    else if (level === 1 || shownCards.length > 60) {
      drawBundles(moduleBundles, zoom, 0.6 * calm, state.moving);
    }
    const groups = drawCards(shownCards, level, zoom, state);
    if (level === 2 && shownCards.length <= 60 && state.selected < 0) {
      drawCalls(near(shownCards, state.moving ? CURVES_IN_MOTION : CURVES_AT_REST), zoom, 0.4, 1.1);
    }
    if (state.hovered >= 0 && state.hovered !== state.selected) {
      drawCalls(around(state.hovered), zoom, 0.9, 1.6);
    }
    if (state.selected >= 0) {
      drawCalls(around(state.selected), zoom, 0.85, 1.8);
      drawCalls(pairsOf(state.way), zoom, 1, 4);
    }
    if (level === 2) drawNames(groups);
    if (state.selected >= 0) outline(state.selected, zoom, 2.5);
    if (state.hovered >= 0) outline(state.hovered, zoom, 1.5);
    drawTitles(shownBoxes, shownCards, level, camera);
    return level;
  }

  function drawCards(shown, level, zoom, state) {
    for (const card of shown) {
      rounded(card.x, card.y, card.w, card.h, 5);
      context.fillStyle = palette.card;
      context.fill();
      if (level > 0) {
        context.strokeStyle = palette.line;
        context.lineWidth = 0.8 / zoom;
        context.stroke();
      }
    }
    if (level === 0) {
      drawShares(shown, zoom, state);
      return null;
    }
    // All cells of one colour and one brightness are one path.
    const groups = new Map();
    for (const card of shown) {
      for (const node of card.members) {
        const kind = colourOf(node);
        const bright = isBright(node, state);
        const key = bright ? kind : `${kind} dim`;
        if (!groups.has(key)) groups.set(key, { kind, bright, nodes: [] });
        groups.get(key).nodes.push(node);
      }
    }
    for (const { kind, bright, nodes } of groups.values()) {
      context.beginPath();
      for (const node of nodes) context.rect(X[node], Y[node], CELL_W, CELL_H);
      context.globalAlpha = bright ? (level === 2 ? 0.3 : 0.85) : 0.1;
      context.fillStyle = palette[kind];
      context.fill();
      if (kind === "blocking" && bright && level === 1) fillStriped(null, zoom);
    }
    context.globalAlpha = 1;
    return groups;
  }

  // A card too small for cells shows how many of its functions have which colour.
  function drawShares(shown, zoom, state) {
    const bars = new Map();
    for (const card of shown) {
      const sizes = {};
      for (const node of card.members) {
        const key = isBright(node, state) ? colourOf(node) : "dim";
        sizes[key] = (sizes[key] || 0) + 1;
      }
      let y = card.y;
      for (const kind of ["native", "blocking", "leaf", "pure", "dim"]) {
        if (!sizes[kind]) continue;
        const h = (card.h * sizes[kind]) / card.members.length;
        if (!bars.has(kind)) bars.set(kind, new Path2D());
        bars.get(kind).rect(card.x, y, card.w, h);
        y += h;
      }
    }
    for (const [kind, path] of bars) {
      context.globalAlpha = kind === "dim" ? 0.12 : 0.85;
      context.fillStyle = palette[kind === "dim" ? "pure" : kind];
      context.fill(path);
      if (kind === "blocking") fillStriped(path, zoom);
    }
    context.globalAlpha = 1;
  }

  // What fits of a name is the same at every zoom, and measuring text is dear.
  const shownNames = new Map();
  function shownName(node) {
    if (!shownNames.has(node)) {
      const name = node >= COUNT ? layout.leaves[node - COUNT].name : F.name[node];
      const entry = node < COUNT && isEntry(node) ? "▸ " : "";
      shownNames.set(node, clipped(entry + name, CELL_W - 22));
    }
    return shownNames.get(node);
  }

  function drawNames(groups) {
    context.font = "10.5px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (const { kind, bright, nodes } of groups.values()) {
      context.globalAlpha = bright ? 1 : 0.45;
      drawGlyphs(kind, nodes);
      context.fillStyle = palette[`${kind}-ink`];
      for (const node of nodes) {
        context.fillText(shownName(node), X[node] + 16, Y[node] + CELL_H / 2 + 0.5);
      }
    }
    context.globalAlpha = 1;
  }

  function isBright(node, state) {
    if (node >= COUNT) return !state.isFiltered && (state.selected < 0 || state.lit.has(node));
    if (state.selected >= 0 && !state.lit.has(node)) return false;
    return state.mask[node] === 1;
  }

  // Titles are as large as the world, but never too small to be read while there is room for them.
  function drawTitles(shownBoxes, shownCards, level, camera) {
    const { zoom } = camera;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.textBaseline = "middle";
    if (level > 0) {
      const size = Math.min(Math.max(11 * zoom, 8.5), 15);
      context.font = `600 ${size}px system-ui, sans-serif`;
      context.fillStyle = palette.text;
      if (CARD_HEAD * zoom >= 8) {
        for (const card of shownCards) {
          const name = card.kind === "library" ? card.title : card.title.slice(card.title.lastIndexOf(".") + 1);
          const text = clipped(name, (card.w - 2 * CARD_PAD) * zoom);
          context.fillText(text, (card.x + CARD_PAD - camera.x) * zoom, (card.y + CARD_HEAD / 2 - camera.y) * zoom);
        }
      }
    }
    const size = Math.min(Math.max(16 * zoom, 11), 20);
    context.font = `700 ${size}px system-ui, sans-serif`;
    for (const box of shownBoxes) {
      const room = box.w * zoom - 8;
      const text = room < 34 ? "" : boxTitle(box, room);
      if (!text) continue;
      const x = (box.x - camera.x) * zoom + Math.min(BOX_PAD * zoom, 8) + 2;
      const inside = (box.y + BOX_HEAD / 2 - camera.y) * zoom;
      const y = BOX_HEAD * zoom >= size ? inside : (box.y - camera.y) * zoom - size * 0.62;
      context.lineJoin = "round";
      context.lineWidth = 3;
      context.strokeStyle = BOX_HEAD * zoom >= size ? palette.box : palette.page;
      context.strokeText(text, x, y);
      context.fillStyle = palette.text;
      context.fillText(text, x, y);
    }
  }

  // Of a name that is too long its end says most. A few letters say nothing.
  function boxTitle(box, room) {
    const fits = (text) => context.measureText(text).width <= room;
    if (fits(box.label)) return box.label;
    if (fits(box.brief)) return box.brief;
    for (let rest = box.label; rest.includes(".");) {
      rest = rest.slice(rest.indexOf(".") + 1);
      if (fits(`…${rest}`)) return `…${rest}`;
    }
    const text = clipped(box.label.slice(box.label.lastIndexOf(".") + 1), room);
    return text.length < 6 ? "" : text;
  }

  function outline(node, zoom, thick) {
    rounded(X[node] - 1, Y[node] - 1, CELL_W + 2, CELL_H + 2, 3);
    context.strokeStyle = palette.focus;
    context.lineWidth = Math.max(thick / zoom, thick);
    context.stroke();
  }

  const pairsOf = (way) => way.slice(1).map((node, at) => [way[at], node]);

  function around(node) {
    const pairs = [];
    if (node >= COUNT) return layout.leaves[node - COUNT].users.map((user) => [user, node]);
    for (let e = callees.start[node]; e < callees.start[node + 1]; e++) pairs.push([node, callees.other[e]]);
    for (let e = callers.start[node]; e < callers.start[node + 1]; e++) pairs.push([callers.other[e], node]);
    return pairs;
  }

  // Calls from what is shown, the same number from every card.
  function near(shownCards, cap) {
    const pairs = [];
    const each = Math.ceil(cap / Math.max(shownCards.length, 1));
    for (const card of shownCards) {
      let left = each;
      for (const node of card.members) {
        if (node >= COUNT) continue;
        for (let e = callees.start[node]; e < callees.start[node + 1] && left > 0; e++, left--) {
          pairs.push([node, callees.other[e]]);
        }
      }
    }
    return pairs;
  }

  return {
    draw, resize, readPalette, around, levelAt,
    size: () => ({ width, height }),
  };
}
