"use strict";
// What every page shares: the theme, and one chart per figure, drawn as SVG so that the style sheet reaches it.
const page = (() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const listeners = [];
  const chosen = () => document.documentElement.dataset.theme;
  const dark = () => (chosen() ? chosen() === "dark" : system.matches);
  const changed = () => listeners.forEach((listener) => listener());

  // On a dark page the dark end of a sequential palette would vanish: use its light end instead.
  function lighten(node) {
    if (node === null || typeof node !== "object") return;
    if (node.scheme && node.scheme.extent) node.scheme.extent = [0.28, 1];
    for (const [key, child] of Object.entries(node)) if (key !== "datasets") lighten(child);
  }

  function embed(element, spec) {
    spec.config.background = null;
    if (dark()) lighten(spec);
    const tooltip = { theme: dark() ? "dark" : "light" };
    return vegaEmbed(element, spec, { renderer: "svg", actions: false, tooltip }).catch((error) => {
      element.classList.add("failed");
      element.textContent = `This chart could not be drawn: ${error.message}`;
      throw error;
    });
  }

  system.addEventListener("change", changed);
  const toggle = document.getElementById("theme");
  const name = () => {
    toggle.textContent = dark() ? "Light theme" : "Dark theme";
  };
  if (toggle) {
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      document.documentElement.dataset.theme = dark() ? "light" : "dark";
      changed();
    });
    listeners.push(name);
    name();
  }

  // On paper every fold is open.
  const folds = [];
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open]):not(.picker)")) {
      fold.open = true;
      folds.push(fold);
    }
  });
  addEventListener("afterprint", () => folds.splice(0).forEach((fold) => (fold.open = false)));

  return { dark, embed, onTheme: (listener) => listeners.push(listener) };
})();

// Marks without a name of their own say nothing to a screen reader: the figure's name and its caption do.
function quiet(element) {
  for (const mark of element.querySelectorAll('[role="graphics-symbol"]:not([aria-label])')) {
    mark.removeAttribute("role");
    mark.removeAttribute("aria-roledescription");
    mark.setAttribute("aria-hidden", "true");
  }
}

const chart = (id) => JSON.parse(document.getElementById(id).textContent);
const figures = document.querySelectorAll(".chart[data-spec]");
const draw = async (figure) => {
  const { title, ...shown } = chart(figure.dataset.spec); // the page says the title itself
  await page.embed(figure, shown);
  quiet(figure);
};
figures.forEach(draw);
page.onTheme(() => figures.forEach(draw));

// What can be saved. Charts are drawn again with their title and in light colours, whatever the page's theme is; files
// that the page carries are unpacked.
const files = (() => {
  function save(name, blob) {
    const link = document.createElement("a");
    const experiment = document.body.dataset.experiment;
    link.download = experiment ? `${experiment}-${name}` : name;
    link.href = URL.createObjectURL(blob);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  async function drawn(id, kind) {
    const { view } = await vegaEmbed(document.createElement("div"), chart(id), { actions: false });
    try {
      if (kind === "svg") return new Blob([await view.toSVG()], { type: "image/svg+xml" });
      const canvas = await view.toCanvas(2);
      return await new Promise((done) => canvas.toBlob(done));
    } finally {
      view.finalize();
    }
  }

  function unpacked(id) {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).blob();
  }

  for (const button of document.querySelectorAll("button[data-save]")) {
    const { save: name, chart: spec, file } = button.dataset;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        save(name, spec ? await drawn(spec, name.split(".").at(-1)) : await unpacked(file));
      } catch (error) {
        button.textContent = `${name} could not be made: ${error.message}`;
      }
    });
  }

  const cell = (value) => (/[",\n]/.test(value ?? "") ? `"${value.replaceAll('"', '""')}"` : value ?? "");
  const csv = (rows) => new Blob([rows.map((row) => `${row.map(cell).join(",")}\n`).join("")], { type: "text/csv" });
  return { save, csv };
})();
