"use strict";
/* The bar over the releases of a package: one stretch per import, from the oldest release to the newest. */

/* Return the class of the colour of each answer: the same for the same import, and never that of its neighbour. */
function colours(answers) {
  const known = new Map();
  return answers.map((answer) => {
    if (answer.status === "missing") return "none";
    if (answer.status === "placeholder") return "stub";
    if (answer.status === "dynamic" || answer.status === "conditional") return "cond";
    if (!known.has(answer.statement)) known.set(answer.statement, `run${known.size % 3}`);
    return known.get(answer.statement);
  });
}

/* Return answers without their signatures, so that neighbours with one import are one. */
function merged(answers) {
  const found = [];
  for (const answer of answers) {
    const before = found[found.length - 1];
    const same = before && before.status === answer.status && before.statement === answer.statement
      && before.remarks === answer.remarks;
    if (same) before.last = answer.last;
    else found.push({ ...answer });
  }
  return found;
}

/* Return the bar, which is a slider: a click, a touch or an arrow key chooses a release. */
function timeline(pack, answers, release, choose) {
  const classes = colours(answers), count = pack.versions.length;
  const bar = make("div", {
    class: "line", role: "slider", tabindex: 0, "aria-label": `release of ${pack.name}`,
    "aria-valuemin": 0, "aria-valuemax": count - 1, "aria-valuenow": release,
    "aria-valuetext": spoken(pack, answers, release), "data-package": pack.name,
  }, answers.map((answer, number) => make("i", {
    class: classes[number], style: `flex:${answer.last - answer.first + 1}`,
    title: `${releases(pack, answer)}: ${answer.statement || answer.status}`,
  })), make("span", { class: "here", style: `left:${(release + 0.5) / count * 100}%` }));
  bar.addEventListener("click", (event) => {
    const box = bar.getBoundingClientRect();
    choose(Math.min(count - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * count))));
  });
  bar.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -count, End: count };
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(Math.min(count - 1, Math.max(0, release + steps[event.key])));
  });
  const ends = make("div", { class: "ends" }, make("span", {}, pack.versions[0]), make("span", {}, pack.versions[count - 1]));
  return [bar, ends];
}

function spoken(pack, answers, release) {
  const answer = at(answers, release);
  return `${pack.versions[release]}: ${answer ? answer.statement || answer.status : "missing"}`;
}
