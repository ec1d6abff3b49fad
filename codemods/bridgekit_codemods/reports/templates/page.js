// Puts the parts together.

let ready = false, folded = [], theme;
const byId = (id) => document.getElementById(id);
const canvas = byId("graph"), tip = byId("tip"), stage = byId("stage");
const isPainted = typeof Path2D === "function" && Boolean(canvas.getContext);

function hover(node, box, x, y, layout) {
  if (node < 0 && !box) {
    tip.hidden = true;
    return;
  }
  if (node >= COUNT) {
    const leaf = layout.leaves[node - COUNT];
    tip.replaceChildren(element("b", {}, leaf.name), element("br"),
      `${data.effects[leaf.effect]}, called by ${plural(leaf.users.length, "function")}`);
  } else if (node >= 0) {
    const waits = effectNames(node).join(", ");
    tip.replaceChildren(element("b", {}, F.name[node]), element("br"), placeOf(node), element("br"),
      `${COLOUR_NAMES[F.colour[node]]}${waits ? `: ${waits}` : ""}`);
  } else {
    const members = box.cards.flatMap((card) => card.members).filter((f) => f < COUNT);
    const numbers = COLOUR_NAMES.map((name, c) => `${members.filter((f) => F.colour[f] === c).length} ${name}`);
    tip.replaceChildren(element("b", {}, box.title),
      ...(members.length ? [element("br"), [numbers[1], numbers[2], numbers[0]].join(", ")] : []));
  }
  tip.hidden = false;
  const room = stage.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, room.width - tip.offsetWidth - 8))}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > room.height ? y - tip.offsetHeight - 10 : y + 18}px`;
}

const details = makeDetails(byId("details"), (f, move, scroll) => select(f, move, scroll));
const graph = isPainted && COUNT ? makeGraph(canvas, (node) => select(node, false), hover) : null;
const table = makeTable(byId("table"), (f, move) => select(f, move));

function select(node, move, scroll) {
  if (graph) graph.select(node, move && !byId("stage").hidden);
  details.show(node, graph && graph.layout);
  byId("said").textContent = node < 0 ? "" : node < COUNT ? `${fullName(node)} selected` : "library call selected";
  if (scroll) byId("frontier").scrollIntoView({ behavior: "auto", block: "start" });
  const url = new URL(location.href);
  url.hash = node >= 0 && node < COUNT ? `f=${encodeURIComponent(fullName(node))}` : "frontier";
  try {
    history.replaceState(null, "", url);
  } catch { /* some browsers refuse it for files: the address then just stays */ }
}

makeFilters(byId("filters"), (mask, isFiltered) => {
  if (graph) graph.filter(mask, isFiltered, ready);
  table.filter(mask);
});
const search = byId("search");
makeSearch(search, byId("found"), (f) => {
  select(f, true);
  if (!stage.hidden) canvas.focus({ preventScroll: true });
});

const tabs = [byId("tab-graph"), byId("tab-table")];
function openTab(n) {
  tabs.forEach((tab, at) => {
    tab.setAttribute("aria-selected", String(at === n));
    tab.tabIndex = at === n ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = at !== n;
  });
}
tabs.forEach((tab, n) => {
  tab.addEventListener("click", () => openTab(n));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    openTab(1 - n);
    tabs[1 - n].focus();
  });
});
if (!graph) openTab(1);

const actions = { in: () => graph.zoomBy(1.5), out: () => graph.zoomBy(1 / 1.5), fit: () => graph.fit() };
for (const button of document.querySelectorAll("[data-zoom-by]")) {
  button.addEventListener("click", () => graph && actions[button.dataset.zoomBy]());
}

for (const place of document.querySelectorAll("details[data-entry]")) {
  place.addEventListener("toggle", () => {
    const isAsked = place.open && !folded.includes(place);
    if (isAsked && place.querySelector(".shortest")) fillPaths(place, select);
  });
}
for (const button of document.querySelectorAll("button[data-function]")) {
  button.addEventListener("click", () => select(Number(button.dataset.function), true, true));
}

document.addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
  }
});

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
byId("theme").addEventListener("click", () => {
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
  root.dataset.theme = isDark ? "light" : "dark";
  if (graph) graph.repaint();
});
dark.addEventListener("change", () => graph && graph.repaint());
// On paper everything is light, and what is folded away on the screen is open.
window.addEventListener("beforeprint", () => {
  root.dataset.printing = "";
  theme = root.dataset.theme;
  root.dataset.theme = "light";
  folded = [...document.querySelectorAll("details.row:not([open])")];
  for (const place of folded) place.open = true;
  if (graph) graph.drawNow();
});
window.addEventListener("afterprint", () => {
  delete root.dataset.printing;
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  for (const place of folded) place.open = false;
  setTimeout(() => (folded = []));
  if (graph) graph.repaint();
});

ready = true;
root.dataset.ready = "";
details.show(-1);
const asked = decodeURIComponent((location.hash.match(/^#f=(.*)$/) || ["", ""])[1]);
const first = asked ? [...F.name.keys()].find((f) => fullName(f) === asked) : undefined;
if (first !== undefined) select(first, true, true);
