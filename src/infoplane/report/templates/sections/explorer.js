"use strict";
// The explorer: one state, native controls that change it, and views that are steered by their signals.
(() => {
  const root = document.getElementById("explorer-panels");
  if (!root) return;
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const data = read("explorer-data");
  const specs = read("explorer-specs");
  const { figure, percent, judged, expand, table } = explorerRows(data);
  const at = (id) => document.getElementById(`explorer-${id}`);
  const SHADES = "#440154, #472d7b, #3b528b, #2c728e, #21918c, #28ae80, #5ec962, #addc30, #fde725";

  const state = {
    architecture: data.architectures[0],
    shown: data.shown,
    sites: data.architectures[0].sites,
    pinned: data.architectures[0].chief,
    hovered: "",
    series: "",
    index: data.steps.length - 1,
    measure: "x",
    ...address.read(data),
  };
  let rows = {};
  let timer = 0;
  let waiting = 0;
  let written = address.text(state, data);
  let queued = false;
  const views = new Map();
  const picture = diagram(at("diagram"), at("arcs"), data, {
    hover: (site) => highlight(site),
    pin: (site) => change({ pinned: site, hovered: "" }),
  });

  const focus = () => state.hovered || state.pinned;
  const step = () => data.steps[state.index];
  const present = () => state.shown.filter((label) => label in state.architecture.curves);

  // Views

  function signals(only) {
    const found = { only, shown: state.shown, sites: state.sites, focus: focus(), series: state.series };
    Object.assign(found, { step: step(), measure: state.measure });
    for (const axis of ["x", "y"]) {
      const span = state.architecture[axis];
      Object.assign(found, { [`${axis}_low`]: span.low, [`${axis}_high`]: span.high, [`${axis}_ticks`]: span.ticks });
    }
    return found;
  }

  function steer() {
    queued = false;
    for (const { view, only } of views.values()) {
      for (const [name, value] of Object.entries(signals(only))) view.signal(name, value);
      view.runAsync();
    }
    picture.update(state, step(), focus());
    readout();
    const place = state.index + 1;
    const words = `step ${step()}`;
    at("slider").value = state.index;
    at("slider").setAttribute("aria-valuetext", `${words}, checkpoint ${place} of ${data.steps.length}`);
    at("step").textContent = words;
    at("checkpoint").textContent = `checkpoint ${place} of ${data.steps.length}`;
    root.dataset.step = step();
    root.dataset.focus = focus();
    clearTimeout(waiting);
    if (!timer) waiting = setTimeout(remember, 200);
  }

  // Put the state into the address once it rests: a browser takes only so many changes of an address.
  function remember() {
    const now = address.text(state, data);
    if (now !== written) history.replaceState(null, "", now);
    written = now;
  }

  function queue() {
    if (!queued) requestAnimationFrame(steer);
    queued = true;
  }

  function change(values) {
    Object.assign(state, values);
    at("site").value = state.pinned;
    queue();
  }

  function highlight(site, series = "") {
    if (state.hovered !== site || state.series !== series) change({ hovered: site, series });
  }

  async function open(element, name, only = "") {
    const spec = structuredClone(specs[name]);
    spec.datasets = { curves: rows.curves, scores: rows.scores };
    for (const param of spec.params) param.value = signals(only)[param.name] ?? param.value;
    element.dataset.name ??= element.getAttribute("aria-label"); // Vega puts another name in its place
    const { view } = await page.embed(element, spec);
    // Marks change with every step: a screen reader gets the view's name, and the values from the table.
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", element.dataset.name);
    element.querySelector("svg").setAttribute("aria-hidden", "true");
    views.get(element)?.view.finalize();
    views.set(element, { view, only });
    view.addEventListener("mouseover", (_event, item) => {
      const row = item?.datum;
      if (row?.shortcut) highlight(row.site ?? "", row.shortcut);
    });
    view.addEventListener("mouseout", () => highlight(""));
    view.addEventListener("click", (_event, item) => {
      const row = item?.datum;
      if (row?.site) change({ pinned: row.site });
      if (row?.step !== undefined && name !== "plane") walk(nearest(row.step));
    });
  }

  const nearest = (wanted) =>
    data.steps.reduce((best, one, i) => (Math.abs(one - wanted) < Math.abs(data.steps[best] - wanted) ? i : best), 0);

  async function heatMaps() {
    const holder = at("heat");
    for (const old of holder.children) {
      views.get(old.lastChild)?.view.finalize();
      views.delete(old.lastChild);
    }
    holder.replaceChildren();
    await Promise.all(
      present().map((label) => {
        const cell = holder.appendChild(document.createElement("div"));
        cell.appendChild(document.createElement("h4")).textContent = label;
        const element = cell.appendChild(document.createElement("div"));
        element.className = "chart view";
        element.setAttribute("role", "img");
        element.setAttribute("aria-label", `${label}: every layer at every checkpoint`);
        return open(element, "heat", label);
      }),
    );
    const span = state.architecture[state.measure];
    at("shades").style.background = `linear-gradient(to right, ${SHADES})`;
    at("shades-low").textContent = figure(Math.max(0, span.low));
    at("shades-high").textContent = figure(span.high);
  }

  async function rebuild() {
    rows = expand(state.architecture);
    const panels = [...root.querySelectorAll("[data-view]")];
    await Promise.all(panels.map((element) => open(element, element.dataset.view)));
    await heatMaps();
    picture.draw(state);
    queue();
    root.dataset.ready = state.architecture.label;
  }

  // The highlighted site at the step, in numbers
  function readout() {
    at("readout-title").textContent = `${focus()} at step ${step()}`;
    const body = at("readout");
    body.replaceChildren();
    for (const label of state.shown) {
      const pair = state.architecture.curves[label];
      const line = body.appendChild(document.createElement("tr"));
      const head = line.appendChild(document.createElement("th"));
      head.scope = "row";
      head.appendChild(swatch(label));
      head.append(label);
      const write = (text) => (line.appendChild(document.createElement("td")).textContent = text);
      if (!pair) {
        write(state.architecture.missing[label]);
        line.lastChild.colSpan = 4;
        continue;
      }
      const row = rows.curves.findLast((one) => one.shortcut === label && one.site === focus() && one.step <= step());
      const learned = rows.scores.findLast((one) => one.shortcut === label && one.split === "validation" && one.step <= step());
      write(row ? row.x_words : "–");
      if (data.measures.y) write(row ? row.y_words : "–");
      write(learned ? judged(learned.score) : "–");
      write(pair.phases[focus()]?.[0] ?? "–");
    }
  }

  function swatch(label) {
    const mark = document.createElement("i");
    mark.className = "swatch";
    mark.style.background = data.shortcuts.find((one) => one.label === label).colour;
    return mark;
  }

  // Controls

  function choices(holder, labels, ticked, changed, marked = false) {
    holder.replaceChildren();
    for (const label of labels) {
      const line = holder.appendChild(document.createElement("label"));
      const box = line.appendChild(document.createElement("input"));
      box.type = "checkbox";
      box.value = label;
      box.checked = ticked.includes(label);
      if (marked) line.appendChild(swatch(label));
      line.append(label);
      box.addEventListener("change", () => {
        const left = [...holder.querySelectorAll("input:checked")].map((one) => one.value);
        if (!left.length) box.checked = true;
        else changed(left);
      });
    }
  }

  function siteControls() {
    const { sites } = state.architecture;
    at("site").replaceChildren(...sites.map((site) => new Option(site, site)));
    at("site").value = state.pinned;
    const name = () => (at("sites-count").textContent = `${state.sites.length} of ${sites.length}`);
    const picked = (left) => {
      state.sites = left;
      if (!left.includes(state.pinned)) state.pinned = left.at(-1);
      name();
      change({ hovered: "" });
      picture.draw(state);
    };
    choices(at("sites"), sites, state.sites, picked);
    name();
  }

  function walk(index) {
    change({ index: Math.min(data.steps.length - 1, Math.max(0, index)) });
  }

  function pause() {
    clearInterval(timer);
    timer = 0;
    queue();
    at("play").textContent = "▶ Play";
  }

  function play() {
    if (timer) return pause();
    if (state.index === data.steps.length - 1) walk(0);
    at("play").textContent = "❚❚ Pause";
    timer = setInterval(() => {
      walk(state.index + 1);
      if (state.index === data.steps.length - 1) pause();
    }, Math.min(700, Math.max(180, 9000 / data.steps.length)));
  }

  at("slider").max = data.steps.length - 1;
  at("slider").addEventListener("input", (event) => {
    pause();
    walk(Number(event.target.value));
  });
  at("play").addEventListener("click", play);
  at("architecture").replaceChildren(...data.architectures.map((one) => new Option(one.label, one.label)));
  at("architecture").addEventListener("change", (event) => {
    const architecture = data.architectures.find((one) => one.label === event.target.value);
    Object.assign(state, { architecture, sites: architecture.sites, pinned: architecture.chief, hovered: "", series: "" });
    siteControls();
    rebuild();
  });
  at("site").addEventListener("change", (event) => change({ pinned: event.target.value, hovered: "" }));
  at("measure").addEventListener("change", (event) => {
    change({ measure: event.target.value });
    heatMaps();
  });
  at("save").addEventListener("click", () => files.save(`${state.architecture.label}-curves.csv`, files.csv(table(state, rows))));

  // Every control as the state says, and all that is drawn; a link's explorer is brought into view.
  async function show(linked) {
    at("architecture").value = state.architecture.label;
    at("measure").value = state.measure;
    choices(at("shortcuts"), data.shortcuts.map((one) => one.label), state.shown, (left) => {
      change({ shown: left });
      heatMaps();
      picture.draw(state);
    }, true);
    siteControls();
    await rebuild();
    if (linked) document.getElementById("explorer").scrollIntoView();
  }

  page.onTheme(rebuild);
  addEventListener("hashchange", () => {
    const said = address.read(data);
    if (!said) return;
    Object.assign(state, said, { hovered: "", series: "" });
    written = address.text(state, data);
    show(true);
  });
  show(address.read(data) !== null);
})();
