// The graph as people use it: pointer, wheel, pinch and keys move the camera; a click selects.

function makeGraph(canvas, onSelect, onHover) {
  const layout = makeLayout();
  const painter = makePainter(canvas, layout);
  const { X, Y, cards } = layout;
  const camera = { x: 0, y: 0, zoom: 1 };
  const state = {
    selected: -1, hovered: -1, way: [], lit: new Set(), moving: false,
    mask: new Uint8Array(COUNT).fill(1), isFiltered: false,
  };
  const calmMotion = window.matchMedia("(prefers-reduced-motion: reduce)");
  let isWhole = true; // nobody has moved the camera: it goes with the size of the window
  let planned = 0, settled = 0, flight = null, slowest = 0, frames = 0;

  // One frame at most per refresh of the screen, and none while nothing changes.
  function redraw() {
    if (!planned) planned = requestAnimationFrame(frame);
  }

  function frame(now) {
    planned = 0;
    if (flight) fly(now);
    const before = performance.now();
    const level = painter.draw(camera, state);
    const took = performance.now() - before;
    frames++;
    slowest = Math.max(slowest, took);
    Object.assign(canvas.dataset, {
      level: LEVELS[level], zoom: camera.zoom.toFixed(4), frames, frame: took.toFixed(2),
      slowest: slowest.toFixed(2), selected: state.selected < 0 ? "" : nameOf(state.selected),
    });
    if (flight) redraw();
  }

  function nameOf(node) {
    return node < COUNT ? fullName(node) : layout.leaves[node - COUNT].name;
  }

  function moving() {
    state.moving = true;
    clearTimeout(settled);
    settled = setTimeout(() => {
      state.moving = false;
      redraw();
    }, 140);
  }

  const limits = () => {
    const { width, height } = painter.size();
    const whole = Math.min(width / (layout.w + 40), height / (layout.h + 60));
    return [Math.min(whole * 0.6, 1), 2.5];
  };

  function zoomTo(zoom, px, py) {
    const [least, most] = limits();
    const next = Math.min(Math.max(zoom, least), most);
    camera.x += px / camera.zoom - px / next;
    camera.y += py / camera.zoom - py / next;
    camera.zoom = next;
    isWhole = false;
    moving();
    redraw();
  }

  // Pixels that are kept free around what is shown: for a title above, for the legend below.
  const SIDE = 16, ABOVE = 26, BELOW = 52;

  function cameraFor(left, top, w, h, most) {
    const width = painter.size().width - 2 * SIDE, height = painter.size().height - ABOVE - BELOW;
    const zoom = Math.min(width / w, height / h, most);
    return {
      zoom,
      x: left - SIDE / zoom - (width / zoom - w) / 2,
      y: top - ABOVE / zoom - (height / zoom - h) / 2,
    };
  }

  function show(left, top, w, h, most = 1.2) {
    isWhole = false;
    const to = cameraFor(left, top, w, h, most);
    if (calmMotion.matches) {
      Object.assign(camera, to);
      flight = null;
    } else {
      flight = { from: { ...camera }, to, start: 0 };
    }
    redraw();
  }

  function fly(now) {
    flight.start = flight.start || now;
    const time = Math.min((now - flight.start) / 320, 1);
    const ease = 1 - (1 - time) ** 3;
    const { from, to } = flight;
    camera.zoom = from.zoom * (to.zoom / from.zoom) ** ease;
    camera.x = from.x + (to.x - from.x) * ease;
    camera.y = from.y + (to.y - from.y) * ease;
    if (time === 1) flight = null;
    moving();
  }

  function fit() {
    show(0, 0, layout.w, layout.h);
    isWhole = true;
  }

  function bounds(nodes) {
    let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity;
    for (const node of nodes) {
      left = Math.min(left, X[node]);
      top = Math.min(top, Y[node]);
      right = Math.max(right, X[node] + CELL_W);
      bottom = Math.max(bottom, Y[node] + CELL_H);
    }
    return [left, top, right, bottom];
  }

  function showNodes(nodes, most) {
    if (!nodes.length) return;
    const [left, top, right, bottom] = bounds(nodes);
    show(left - 30, top - 40, right - left + 60, bottom - top + 60, most);
  }

  function select(node, move) {
    state.selected = node;
    state.way = [];
    state.lit = new Set();
    if (node >= 0) {
      const way = node < COUNT ? wayTo(node) : [];
      const down = node < COUNT && F.colour[node] === BLOCKING ? reasonOf(node) : [];
      const last = down.length ? down[down.length - 1] : -1;
      state.way = node < COUNT ? way.concat(down.slice(1)) : [];
      if (last >= 0) {
        const target = (leavesOf[last].find((leaf) => leaf.kind === "call") || {}).target;
        const at = layout.leaves.findIndex((leaf) => leaf.name === data.targets[target]);
        if (at >= 0) state.way.push(COUNT + at);
      }
      state.lit = new Set([node, ...state.way, ...painter.around(node).flat()]);
      if (move) approach(node);
    }
    redraw();
  }

  // All that is lit, if its names can then be read; otherwise the function in the middle.
  function approach(node) {
    const [left, top, right, bottom] = bounds([...state.lit]);
    if (cameraFor(left, top, right - left, bottom - top, 1).zoom >= 0.62) {
      show(left - 30, top - 30, right - left + 60, bottom - top + 60, 1);
    } else {
      const { width, height } = painter.size();
      const zoom = 0.9;
      show(X[node] + (CELL_W - width / zoom) / 2, Y[node] + (CELL_H - height / zoom) / 2, width / zoom, height / zoom, zoom);
    }
  }

  function filter(mask, isFiltered, move) {
    state.mask = mask;
    state.isFiltered = isFiltered;
    if (move) {
      if (isFiltered) showNodes([...mask.keys()].filter((f) => mask[f]));
      else fit();
    }
    redraw();
  }

  function nodeAt(px, py) {
    const x = camera.x + px / camera.zoom, y = camera.y + py / camera.zoom;
    if (painter.levelAt(camera.zoom) === 0) return -1;
    const card = cards.find((c) => x >= c.x && x < c.x + c.w && y >= c.y && y < c.y + c.h);
    if (!card) return -1;
    const found = card.members.find((n) => x >= X[n] && x < X[n] + CELL_W && y >= Y[n] - 1 && y < Y[n] + CELL_H + 2);
    return found === undefined ? -1 : found;
  }

  function boxAt(px, py) {
    const x = camera.x + px / camera.zoom, y = camera.y + py / camera.zoom;
    return layout.boxes.find((b) => x >= b.x && x < b.x + b.w && y >= b.y && y < b.y + b.h);
  }

  const pointers = new Map();
  let travelled = 0;

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    travelled = 0;
    flight = null;
  });

  canvas.addEventListener("pointermove", (event) => {
    const [px, py] = at(event);
    const known = pointers.get(event.pointerId);
    if (!known) {
      const node = nodeAt(px, py);
      if (node !== state.hovered) {
        state.hovered = node;
        canvas.style.cursor = node >= 0 ? "pointer" : "grab";
        redraw();
      }
      const box = node < 0 ? boxAt(px, py) : null;
      onHover(node, box, px, py, layout);
      return;
    }
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
      const old = Math.hypot(known[0] - other[0], known[1] - other[1]);
      const now = Math.hypot(px - other[0], py - other[1]);
      zoomTo((camera.zoom * now) / Math.max(old, 1), (px + other[0]) / 2, (py + other[1]) / 2);
    } else {
      camera.x -= (px - known[0]) / camera.zoom;
      camera.y -= (py - known[1]) / camera.zoom;
      isWhole = false;
      moving();
      redraw();
    }
    travelled += Math.abs(px - known[0]) + Math.abs(py - known[1]);
    pointers.set(event.pointerId, [px, py]);
  });

  const released = (event) => {
    const was = pointers.delete(event.pointerId);
    if (!was || event.type === "pointercancel" || travelled > 5) return;
    const [px, py] = at(event);
    const node = nodeAt(px, py);
    const box = node < 0 ? boxAt(px, py) : null;
    if (node < 0 && box && painter.levelAt(camera.zoom) === 0) {
      show(box.x, box.y, box.w, box.h);
    } else {
      onSelect(node);
    }
  };
  canvas.addEventListener("pointerup", released);
  canvas.addEventListener("pointercancel", released);
  canvas.addEventListener("pointerleave", () => {
    state.hovered = -1;
    onHover(-1, null, 0, 0, layout);
    redraw();
  });

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    flight = null;
    const pixels = event.deltaMode === 1 ? event.deltaY * 20 : event.deltaY;
    zoomTo(camera.zoom * Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0018)), ...at(event));
  }, { passive: false });

  const centre = () => [painter.size().width / 2, painter.size().height / 2];
  const zoomBy = (factor) => zoomTo(camera.zoom * factor, ...centre());

  // The function nearest to the middle of the view.
  function middle() {
    const [px, py] = centre();
    const x = camera.x + px / camera.zoom - CELL_W / 2, y = camera.y + py / camera.zoom - CELL_H / 2;
    let best = -1, least = Infinity;
    for (let node = 0; node < X.length; node++) {
      const far = Math.hypot(X[node] - x, Y[node] - y);
      if (far < least && (node >= COUNT || state.mask[node])) [best, least] = [node, far];
    }
    return best;
  }

  canvas.addEventListener("keydown", (event) => {
    const step = 80 / camera.zoom;
    const moves = {
      ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step],
    };
    if (moves[event.key]) {
      camera.x += moves[event.key][0];
      camera.y += moves[event.key][1];
      isWhole = false;
      moving();
      redraw();
    } else if (event.key === "+" || event.key === "=") zoomBy(1.4);
    else if (event.key === "-") zoomBy(1 / 1.4);
    else if (event.key === "0") fit();
    else if (event.key === "Enter") onSelect(middle());
    else if (event.key === "Escape") onSelect(-1);
    else return;
    event.preventDefault();
  });

  function resized() {
    painter.resize();
    if (isWhole) {
      flight = null;
      Object.assign(camera, cameraFor(0, 0, layout.w, layout.h, 1.2));
    }
    redraw();
  }

  painter.readPalette();
  painter.resize();
  Object.assign(camera, cameraFor(0, 0, layout.w, layout.h, 1.2));
  new ResizeObserver(resized).observe(canvas);
  redraw();
  return {
    select, filter, fit, zoomBy, redraw, layout,
    repaint() {
      painter.readPalette();
      redraw();
    },
    drawNow() {
      painter.readPalette();
      painter.draw(camera, state);
    },
  };
}
