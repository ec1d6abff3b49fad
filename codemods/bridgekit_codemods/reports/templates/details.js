// What is known of the selected function, beside the graph; and the ways of an entry point.

function colourMark(f) {
  const name = COLOUR_NAMES[F.colour[f]];
  return element("span", { class: `mark ${name}` }, name);
}

function leafText(leaf) {
  const what = data.targets[leaf.target];
  if (leaf.kind === "lazy load") return `lazy load of .${what}`;
  if (leaf.kind === "facade") return `waits for ${what}`;
  return what;
}

function makeDetails(panel, select) {
  const link = (f, extra) => element("li", {},
    element("button", { type: "button", class: "link", click: () => select(f, true), title: fullName(f) },
      element("span", { class: `dot ${COLOUR_NAMES[F.colour[f]]}` }), F.name[f]),
    element("span", { class: "soft" }, ` ${extra ?? moduleOf(f)[0]}`));

  const section = (title, ...content) => element("section", {}, element("h4", {}, title), ...content);

  function neighbours(title, edges, f, describe) {
    const rows = [];
    for (let e = edges.start[f]; e < edges.start[f + 1]; e++) {
      const words = [describe(edges.other[e], edges.line[e])];
      if (edges.flags[e] & BRIDGED) words.push("over a bridge");
      const [grade, evidence] = data.whys[edges.why[e]];
      words.push(grade === "exact" ? grade : `${grade === "guess" ? "a guess" : grade}: ${evidence}`);
      rows.push(link(edges.other[e], words.join(" · ")));
    }
    if (!rows.length) return section(`${title}: none`);
    const list = element("ul", {}, ...rows.slice(0, 40));
    if (rows.length > 40) {
      const more = element("button", { type: "button", click: () => {
        more.remove();
        list.append(...rows.slice(40));
      } }, `${rows.length - 40} more`);
      return section(`${title} (${rows.length})`, list, more);
    }
    return section(`${title} (${rows.length})`, list);
  }

  function reasonChain(f) {
    const chain = reasonOf(f);
    const rows = chain.map((at, n) => link(at, n ? placeOf(at) : "this function"));
    const leaf = leavesOf[chain[chain.length - 1]][0];
    if (leaf) {
      rows.push(element("li", { class: "leaf" }, element("code", {}, leafText(leaf)),
        element("span", { class: "soft" }, ` ${data.effects[leaf.effect]}, line ${leaf.line}`)));
    }
    return section("Blocks because", element("ol", { class: "chain" }, ...rows));
  }

  // What the traced run saw; the page names the first tests only.
  function tests(f) {
    if (!F.tests[f]) return section("Tests: none of the traced run reaches it");
    const [total, ...named] = F.tests[f];
    const rows = named.map((test) => element("li", {}, element("code", {}, data.tests[test])));
    if (total > named.length) rows.push(element("li", { class: "soft" }, `and ${total - named.length} more`));
    return section(`Reached by tests (${total})`, element("ul", {}, ...rows));
  }

  function libraryCall(leaf) {
    panel.replaceChildren(
      element("h3", {}, leaf.name),
      element("p", {}, element("span", { class: "mark leaf" }, data.effects[leaf.effect]),
        " a library call that blocks the calling thread"),
      section(`Called by (${leaf.users.length})`, element("ul", {}, ...leaf.users.map((f) => link(f)))));
  }

  function show(f, layout) {
    panel.scrollTop = 0;
    if (f < 0) {
      panel.replaceChildren(panel.ownerDocument.getElementById("hint").content.cloneNode(true));
      return;
    }
    if (f >= COUNT) {
      libraryCall(layout.leaves[f - COUNT]);
      return;
    }
    const facts = [colourMark(f), ...effectNames(f).map((e) => element("span", { class: "chip" }, e))];
    if (F.facade[f]) facts.push(element("span", { class: "chip" }, "sync facade"));
    if (isEntry(f)) facts.push(element("span", { class: "chip entry" }, `▸ ${data.kinds[F.kind[f]]}`));
    const reached = F.entries[f] ? `Reached by ${plural(F.entries[f], "entry point")}.` : "No entry point reaches it.";
    const parts = [
      element("h3", { tabindex: "-1" }, F.name[f]),
      element("p", { class: "soft wrap" }, moduleOf(f)[0], element("br"), element("code", {}, placeOf(f))),
      element("p", { class: "chips" }, ...facts),
      element("p", { class: "soft" }, reached),
    ];
    for (const found of findingsOf[f]) {
      parts.push(element("section", { class: "obstacle" },
        element("h4", {}, found.code), element("p", {}, found.reason),
        element("p", {}, element("b", {}, "Remedy: "), found.remedy),
        element("code", { class: "soft" }, `${found.path}:${found.line}`)));
    }
    if (F.colour[f] === BLOCKING) parts.push(reasonChain(f));
    if (leavesOf[f].length) {
      parts.push(section("Blocks here", element("ul", {}, ...leavesOf[f].map((leaf) =>
        element("li", {}, element("code", {}, leafText(leaf)),
          element("span", { class: "soft" }, ` ${data.effects[leaf.effect]}, line ${leaf.line}`))))));
    }
    if (suspectsOf[f].length) {
      parts.push(section("May block here", element("ul", {}, ...suspectsOf[f].map((call) =>
        element("li", {}, element("code", {}, call.target),
          element("span", { class: "soft" }, ` line ${call.line}: ${call.reason}`))))));
    }
    parts.push(neighbours("Called by", callers, f, (other, line) => `${pathOf(other)}:${line}`));
    parts.push(neighbours("Calls", callees, f, (other, line) => `line ${line}`));
    if (data.tests.length) parts.push(tests(f));
    panel.replaceChildren(...parts);
  }
  return { show };
}

// The list of an entry point is made when it is opened: a large program has ten thousands of ways.
function fillPaths(place, select) {
  const entry = Number(place.dataset.entry);
  const list = element("ol", { class: "ways" });
  for (const way of blockingPaths(entry)) {
    const last = way[way.length - 1];
    const hops = way.flatMap((f, n) => [n ? " → " : null, element("button", {
      type: "button", class: "link", title: `${fullName(f)}\n${placeOf(f)}`, click: () => select(f, true, true),
    }, element("span", { class: `dot ${COLOUR_NAMES[F.colour[f]]}` }), lastName(f))]);
    const leaves = leavesOf[last].map((leaf) => `${leafText(leaf)} (${data.effects[leaf.effect]}, line ${leaf.line})`);
    list.append(element("li", {}, ...hops, element("br"),
      element("span", { class: "soft" }, `${pathOf(last)}: ${[...new Set(leaves)].join(", ")}`)));
  }
  place.querySelector(".shortest").replaceWith(list);
}
