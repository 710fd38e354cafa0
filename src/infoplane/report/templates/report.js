"use strict";
// One chart per figure, drawn as SVG so that the page's style sheet reaches it (dark theme, print).
const dark = matchMedia("(prefers-color-scheme: dark)");

// On a dark page the dark end of a sequential palette would vanish: use its light end instead.
function lighten(node) {
  if (node === null || typeof node !== "object") return;
  if (node.scheme && node.scheme.extent) node.scheme.extent = [0.28, 1];
  for (const [key, child] of Object.entries(node)) if (key !== "datasets") lighten(child);
}

function draw(figure) {
  const spec = JSON.parse(document.getElementById(figure.dataset.spec).textContent);
  spec.config.background = null;
  if (dark.matches) lighten(spec);
  vegaEmbed(figure, spec, {
    renderer: "svg",
    tooltip: { theme: dark.matches ? "dark" : "light" },
    actions: { export: true, source: false, compiled: false, editor: false },
    downloadFileName: spec.usermeta.name,
  }).catch((error) => {
    figure.classList.add("failed");
    figure.textContent = `This chart could not be drawn: ${error.message}`;
    throw error;
  });
}

const figures = document.querySelectorAll(".chart");
figures.forEach(draw);
dark.addEventListener("change", () => figures.forEach(draw));
