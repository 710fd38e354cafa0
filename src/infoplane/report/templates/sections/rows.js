"use strict";
// The explorer's curves as rows, for the views and for a file, and its numbers as a reader sees them.
function explorerRows(data) {
  const absent = (value) => value === null || value === undefined;
  const figure = (value) =>
    absent(value) ? "–" : value === 0 ? "0" : Math.abs(value) < 1e-4 ? value.toExponential(1) : value.toPrecision(3);
  const whole = (value) => Math.round(value).toString();
  const between = (mean, low, high, write = figure) =>
    absent(low) || write(low) === write(high) ? write(mean) : `${write(mean)} (${write(low)}–${write(high)})`;
  const percent = (value) => `${(100 * value).toFixed(1)}%`;
  const judged = (value) => (data.metric.share ? percent(value) : `${figure(value)}${data.metric.unit}`);

  function phrase(phase) {
    if (!phase) return "not analysed";
    const [label, confidence, turn, low, high] = phase;
    const sure = confidence === null ? "" : `, ${confidence > 0.995 ? ">99" : Math.round(100 * confidence)}% sure`;
    const where = turn === null ? "" : `; turn at step ${between(turn, low, high, whole)}`;
    return `${label}${sure}${where}`;
  }

  // Rows of an architecture for the views: every value with its words, and whether it is first, last or the turn.
  function expand(architecture) {
    const place = (value) => Math.log(Math.max(value, data.zero));
    const found = [];
    for (const [rank, shortcut] of Object.keys(architecture.curves).entries()) {
      const pair = architecture.curves[shortcut];
      architecture.sites.forEach((site, depth) => {
        const curve = pair.sites[site];
        const steps = curve.at.map((index) => data.steps[index]);
        const phase = pair.phases[site];
        const turned = phase && phase[2] !== null && phase[0] === "two-phase";
        const nearest = turned
          ? steps.reduce((best, one) => (Math.abs(place(one) - place(phase[2])) < Math.abs(place(best) - place(phase[2])) ? one : best), steps[0])
          : null;
        steps.forEach((here, i) => {
          const row = { shortcut, rank, site, depth, step: here, at: Math.max(here, data.zero), seeds: pair.seeds };
          row.next = i + 1 < steps.length ? steps[i + 1] : Infinity;
          row.first = i === 0;
          row.last = i === steps.length - 1;
          row.turn = here === nearest;
          row.phase = phrase(phase);
          for (const axis of ["x", "y"]) {
            const [mean, low, high] = [axis, `${axis}_low`, `${axis}_high`].map((name) => curve[name] && curve[name][i]);
            Object.assign(row, { [axis]: mean ?? null, [`${axis}_low`]: low ?? null, [`${axis}_high`]: high ?? null });
            row[`${axis}_words`] = between(mean, low, high);
          }
          found.push(row);
        });
      });
    }
    const learned = [];
    for (const [shortcut, splits] of Object.entries(architecture.scores))
      for (const [split, lists] of Object.entries(splits))
        lists.step.forEach((here, i) =>
          learned.push({
            shortcut, split, step: here, at: Math.max(here, data.zero),
            score: lists.score[i], score_low: lists.score_low[i], score_high: lists.score_high[i],
          }));
    return { curves: found, scores: learned };
  }

  // What is shown, in one table: a row per shortcut, layer, quantity and step.
  function table(state, rows) {
    const names = ["architecture", "shortcut", "layer", "quantity", "step", "mean", "lowest_seed", "highest_seed", "seeds"];
    const found = [names];
    const add = (row, layer, quantity, field) => {
      const values = [row[field], row[`${field}_low`], row[`${field}_high`]];
      if (!absent(values[0])) found.push([state.architecture.label, row.shortcut, layer, quantity, row.step, ...values, row.seeds]);
    };
    for (const row of rows.curves)
      if (state.shown.includes(row.shortcut) && state.sites.includes(row.site))
        for (const axis of ["x", "y"]) if (data.measures[axis]) add(row, row.site, data.measures[axis].name, axis);
    for (const row of rows.scores)
      if (state.shown.includes(row.shortcut)) add(row, "", `${row.split} ${data.metric.title}`, "score");
    return found.map((row) => row.map((value) => (absent(value) ? "" : String(value))));
  }

  return { figure, percent, judged, expand, table };
}
