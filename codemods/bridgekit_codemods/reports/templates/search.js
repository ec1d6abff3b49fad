// Search with a list to choose from, and the filters that graph and table share.

function makeSearch(input, list, choose) {
  let found = [], active = -1;

  // Names that begin with the words come first, then short ones: what people type is mostly a name.
  function rank(f, words) {
    const name = lastName(f).toLowerCase();
    return (name === words ? 0 : name.startsWith(words) ? 1 : name.includes(words) ? 2 : 3) * 1000
      + Math.min(lowerNames[f].length, 999);
  }

  function matches(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const all = [];
    for (let f = 0; f < COUNT; f++) {
      const at = `${lowerNames[f]} ${pathOf(f).toLowerCase()}`;
      if (words.every((word) => at.includes(word))) all.push([rank(f, words[words.length - 1]), f]);
    }
    return all.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, f]) => f);
  }

  function render(total) {
    list.replaceChildren(...found.map((f, n) => {
      const option = element("li", { role: "option", id: `found-${n}`, "aria-selected": n === active ? "true" : "false" },
        element("span", { class: `dot ${COLOUR_NAMES[F.colour[f]]}` }), element("b", {}, F.name[f]),
        element("span", { class: "soft" }, ` ${moduleOf(f)[0]}`));
      option.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        accept(n);
      });
      return option;
    }));
    if (total > found.length) {
      list.append(element("li", { class: "soft", role: "presentation" }, `${total - found.length} more: type on`));
    }
    if (total === 0 && input.value.trim()) {
      list.append(element("li", { class: "soft", role: "presentation" }, "no function of that name"));
    }
    const open = list.children.length > 0;
    list.hidden = !open;
    input.setAttribute("aria-expanded", String(open));
    if (active >= 0) {
      input.setAttribute("aria-activedescendant", `found-${active}`);
      list.children[active].scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function close() {
    found = [];
    active = -1;
    list.replaceChildren();
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function accept(n) {
    const f = found[n];
    if (f === undefined) return;
    close();
    input.value = "";
    choose(f);
  }

  let total = 0;
  input.addEventListener("input", () => {
    const all = matches(input.value);
    total = all.length;
    found = all.slice(0, 12);
    active = found.length ? 0 : -1;
    render(total);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!found.length) return;
      active = (active + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length;
      render(total);
    } else if (event.key === "Enter") accept(active);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", close);
}

// What the filters let through, as one byte a function.
function makeFilters(form, changed) {
  const select = form.querySelector("select");
  const boxes = [...form.querySelectorAll("input[name=colour]")];
  const only = form.querySelector("input[name=entries]");
  const status = form.querySelector("[role=status]");
  const facades = F.facade.reduce((sum, is) => sum + is, 0);
  const all = facades ? `${COUNT - facades} + ${plural(facades, "facade")}` : plural(COUNT, "function");
  const sizes = new Map();
  for (let f = 0; f < COUNT; f++) sizes.set(packageOf(f), (sizes.get(packageOf(f)) || 0) + 1);
  data.packages.map((name, number) => [name, number]).sort((a, b) => (a[0] < b[0] ? -1 : 1))
    .forEach(([name, number]) => select.append(element("option", { value: number }, `${name} (${sizes.get(number)})`)));

  function apply() {
    const owner = select.value === "" ? -1 : Number(select.value);
    const inside = owner < 0 ? null : data.packages.map((name) => name === data.packages[owner]
      || name.startsWith(`${data.packages[owner]}.`));
    const wanted = boxes.map((box) => box.checked);
    const mask = new Uint8Array(COUNT);
    let number = 0;
    for (let f = 0; f < COUNT; f++) {
      const shown = (!inside || inside[packageOf(f)]) && wanted[F.colour[f]] && (!only.checked || isEntry(f));
      mask[f] = shown ? 1 : 0;
      number += mask[f];
    }
    const isFiltered = number < COUNT;
    status.textContent = isFiltered ? `${number} of ${all}` : all;
    changed(mask, isFiltered);
  }
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  apply();
}
