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

  function embed(element, spec, options = {}) {
    spec.config.background = null;
    if (dark()) lighten(spec);
    const tooltip = { theme: dark() ? "dark" : "light" };
    return vegaEmbed(element, spec, { renderer: "svg", tooltip, ...options }).catch((error) => {
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

const figures = document.querySelectorAll(".chart[data-spec]");
const draw = (figure) => {
  const spec = JSON.parse(document.getElementById(figure.dataset.spec).textContent);
  const actions = { export: true, source: false, compiled: false, editor: false };
  page.embed(figure, spec, { actions, downloadFileName: spec.usermeta.name });
};
figures.forEach(draw);
page.onTheme(() => figures.forEach(draw));
