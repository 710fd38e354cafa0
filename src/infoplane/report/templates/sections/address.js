"use strict";
// The explorer's state in the page's address, so that a link opens the page as it was left:
// report.html#explorer?architecture=vit&shortcut=none&layer=block2&step=640&colour=x
const address = (() => {
  const START = "#explorer?";

  // The state that the address names, or null; labels that this page does not have are left out.
  function read(data) {
    if (!location.hash.startsWith(START)) return null;
    const said = new URLSearchParams(location.hash.slice(START.length));
    const picked = (name, all, otherwise) => {
      const found = all.filter((one) => said.getAll(name).includes(one));
      return found.length ? found : otherwise;
    };
    const architecture = data.architectures.find((one) => one.label === said.get("architecture")) ?? data.architectures[0];
    const sites = picked("shown", architecture.sites, architecture.sites);
    const [pinned] = picked("layer", architecture.sites, [architecture.chief]);
    const index = data.steps.indexOf(Number(said.get("step") ?? NaN));
    return {
      architecture,
      sites,
      pinned,
      shown: picked("shortcut", data.shortcuts.map((one) => one.label), data.shown),
      index: index < 0 ? data.steps.length - 1 : index,
      measure: said.get("colour") === "y" && data.measures.y ? "y" : "x",
    };
  }

  function text(state, data) {
    const said = new URLSearchParams({ architecture: state.architecture.label });
    for (const label of state.shown) said.append("shortcut", label);
    if (state.sites.length < state.architecture.sites.length) for (const site of state.sites) said.append("shown", site);
    said.append("layer", state.pinned);
    said.append("step", data.steps[state.index]);
    said.append("colour", state.measure);
    return START + said;
  }

  return { read, text };
})();
