"use strict";
// The network as a picture: input at the bottom, a bar per shortcut in every block for the value of Z-X.
function diagram(svg, legend, data, { hover, pin }) {
  const WIDTH = 260, BOX = 132, LEFT = 18, CENTRE = LEFT + BOX / 2, MOST = 4;
  const GLYPHS = { projection: "W", scaled: "α", gated: "t", dense: "[ ; ]", stochastic_depth: "p", rezero: "0",
    reversible: "⇄", momentum: "v", decayed: "a", orthogonal: "⊥", attention: "σ", depth_average: "Σ", hyper: "H" };
  const BLOCK = /^(block|layer|stage)\D?\d/;
  const boxes = new Map();

  function make(name, attributes, parent = svg) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return parent.appendChild(element);
  }

  function text(words, attributes, parent = svg) {
    make("text", attributes, parent).textContent = words;
  }

  const about = (label) => data.shortcuts.find((one) => one.label === label);

  // The arcs around one block, each shortcut's further out than the one before it.
  function arcs(shown, below, above) {
    let reach = 22;
    for (const label of shown) {
      const { colour, kind, about: words } = about(label);
      if (kind === "none") continue;
      const out = LEFT + BOX + reach;
      const path = `M${CENTRE},${below} H${out - 8} Q${out},${below} ${out},${below - 8} V${above + 8} Q${out},${above} ${out - 8},${above} H${CENTRE + 7}`;
      const arc = make("path", { d: path, class: "arc", stroke: colour });
      make("title", {}, arc).textContent = `${label}: ${words}`;
      if (GLYPHS[kind]) {
        const middle = (below + above) / 2;
        make("rect", { x: out - 8, y: middle - 8, width: 16, height: 16, rx: 3, class: "operator", stroke: colour });
        text(GLYPHS[kind], { x: out, y: middle + 4, class: "glyph", "text-anchor": "middle" });
      }
      reach += 20;
    }
    return reach > 22;
  }

  function draw({ architecture, shown, sites, pinned }) {
    const active = document.activeElement?.dataset?.site;
    svg.replaceChildren();
    boxes.clear();
    const drawn = shown.filter((label) => label in architecture.curves).slice(0, MOST);
    const listed = architecture.sites.filter((site) => sites.includes(site));
    const tall = Math.max(26, 14 + 5 * drawn.length + 8);
    const row = tall + 24;
    const height = listed.length * row + 46;
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
    make("path", { d: `M${CENTRE},${height - 20} V14`, class: "trunk" });
    text("x", { x: CENTRE, y: height - 6, class: "end", "text-anchor": "middle" });
    text(data.answer, { x: CENTRE, y: 11, class: "end", "text-anchor": "middle" });
    listed.forEach((site, index) => {
      const bottom = height - 38 - index * row;
      const top = bottom - tall;
      if (BLOCK.test(site) && arcs(drawn, bottom + 7, top - 9)) {
        make("circle", { cx: CENTRE, cy: top - 9, r: 6, class: "sum" });
        make("path", { d: `M${CENTRE - 3.5},${top - 9} h7 M${CENTRE},${top - 12.5} v7`, class: "plus" });
      }
      const box = make("g", {
        class: "site", tabindex: 0, role: "button", "data-site": site,
        "aria-label": `${site}: show its curves`, "aria-pressed": site === pinned,
      });
      make("rect", { x: LEFT, y: top, width: BOX, height: tall, rx: 5, class: "box" }, box);
      text(site, { x: LEFT + 9, y: top + 14, class: "name" }, box);
      const bars = drawn.map((label, place) => ({
        label,
        bar: make("rect", { x: LEFT + 9, y: top + 20 + 5 * place, width: 0, height: 3, rx: 1, fill: about(label).colour, class: "bar" }, box),
      }));
      boxes.set(site, { box, bars });
      box.addEventListener("mouseenter", () => hover(site));
      box.addEventListener("mouseleave", () => hover(""));
      box.addEventListener("focus", () => hover(site));
      box.addEventListener("blur", () => hover(""));
      box.addEventListener("click", () => pin(site));
      box.addEventListener("keydown", (event) => {
        const next = { ArrowUp: listed[index + 1], ArrowDown: listed[index - 1] }[event.key];
        if (next) boxes.get(next).box.focus();
        if (event.key === "Enter" || event.key === " ") pin(site);
        if (event.key.startsWith("Arrow") || event.key === " ") event.preventDefault();
      });
    });
    if (active && boxes.has(active)) boxes.get(active).box.focus();
    legend.replaceChildren();
    for (const label of drawn) {
      const { colour, kind, about: words } = about(label);
      const line = legend.appendChild(document.createElement("li"));
      const mark = line.appendChild(document.createElement("i"));
      mark.className = kind === "none" ? "swatch hollow" : "swatch";
      mark.style.setProperty(kind === "none" ? "border-color" : "background", colour);
      line.appendChild(document.createElement("b")).textContent = label;
      const glyph = GLYPHS[kind] ? ` ${GLYPHS[kind]}` : "";
      line.append(`${glyph}: ${words}`);
    }
  }

  // Bars follow the step, the frame follows the highlighted site.
  function update({ architecture, pinned }, step, focus) {
    for (const [site, { box, bars }] of boxes) {
      box.classList.toggle("lit", site === focus);
      box.setAttribute("aria-pressed", site === pinned);
      for (const { label, bar } of bars) {
        const curve = architecture.curves[label].sites[site];
        const last = curve.at.findLastIndex((index) => data.steps[index] <= step);
        const value = last >= 0 && curve.x ? curve.x[last] : 0;
        const share = Math.sqrt(Math.max(0, value) / (architecture.x.most || 1));
        bar.setAttribute("width", ((BOX - 18) * Math.min(1, share)).toFixed(1));
      }
    }
  }

  return { draw, update };
}
