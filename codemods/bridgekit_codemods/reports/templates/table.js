// The same functions as a table: for screen readers, and for those who want to sort.

function makeTable(root, select) {
  const PAGE = 50;
  const outgoing = (f) => callees.start[f + 1] - callees.start[f];
  const incoming = (f) => callers.start[f + 1] - callers.start[f];
  const columns = [
    { title: "Function", key: (f) => lowerNames[f] },
    { title: "Colour", key: (f) => [2, 0, 1][F.colour[f]] },
    { title: "Waits for", key: (f) => effectNames(f).join(", ") },
    { title: "Place", key: (f) => `${pathOf(f)}:${String(F.line[f]).padStart(7, "0")}` },
    { title: "Called by", key: incoming, number: true },
    { title: "Calls", key: outgoing, number: true },
    { title: "Entry points", key: (f) => F.entries[f], number: true },
    { title: "Obstacles", key: (f) => findingsOf[f].length, number: true },
  ];
  let order = [...F.name.keys()], page = 0, sorted = 6, down = true;
  let mask = new Uint8Array(COUNT).fill(1);

  const head = element("tr", {}, ...columns.map((column, n) => {
    const button = element("button", { type: "button", click: () => sortBy(n) }, column.title);
    return element("th", { scope: "col", class: column.number ? "number" : null }, button);
  }));
  const body = element("tbody");
  const status = element("p", { role: "status", class: "soft" });
  const previous = element("button", { type: "button", click: () => turn(-1) }, "Previous");
  const next = element("button", { type: "button", click: () => turn(1) }, "Next");
  const table = element("table", {}, element("caption", { class: "hidden" }, "Functions of the program"),
    element("thead", {}, head), body);
  root.append(element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Functions" }, table),
    element("div", { class: "pager" }, previous, next, status));

  function sortBy(n) {
    down = n === sorted ? !down : Boolean(columns[n].number);
    sorted = n;
    page = 0;
    arrange();
  }

  function turn(by) {
    page += by;
    render();
  }

  function arrange() {
    const { key } = columns[sorted];
    const keys = new Map();
    order = [];
    for (let f = 0; f < COUNT; f++) {
      if (!mask[f]) continue;
      order.push(f);
      keys.set(f, key(f));
    }
    const sign = down ? -1 : 1;
    order.sort((a, b) => {
      const x = keys.get(a), y = keys.get(b);
      return (x < y ? -1 : x > y ? 1 : 0) * sign || a - b;
    });
    render();
  }

  function render() {
    const pages = Math.max(1, Math.ceil(order.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    [...head.children].forEach((cell, n) => {
      if (n === sorted) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    body.replaceChildren(...order.slice(page * PAGE, (page + 1) * PAGE).map((f) => element("tr", {},
      element("th", { scope: "row" }, element("button", {
        type: "button", class: "link", title: fullName(f), click: () => select(f, true),
      }, isEntry(f) ? "▸ " : null, F.name[f]), element("span", { class: "soft" }, ` ${moduleOf(f)[0]}`)),
      element("td", {}, colourMark(f)),
      element("td", {}, effectNames(f).join(", ")),
      element("td", {}, element("code", {}, placeOf(f))),
      ...[incoming(f), outgoing(f), F.entries[f], findingsOf[f].length].map((n) =>
        element("td", { class: "number" }, String(n))))));
    if (!order.length) {
      body.append(element("tr", {}, element("td", { colspan: columns.length, class: "soft" },
        COUNT ? "No function fits the filters." : "The program has no functions, tests left out.")));
    }
    status.textContent = `${plural(order.length, "function")}, page ${page + 1} of ${pages}`;
    previous.disabled = page === 0;
    next.disabled = page === pages - 1;
  }

  return {
    filter(to) {
      mask = to;
      page = 0;
      arrange();
    },
  };
}
