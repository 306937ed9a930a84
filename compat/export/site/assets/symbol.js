"use strict";
/* The page of a name: per package, whether the chosen release has it, its import, and its history. */

const WORDS = {
  defined: ["ok", "defined"], reexported: ["ok", "re-exported"], submodule: ["ok", "module"], lazy: ["ok", "lazy"],
  conditional: ["warn", "conditional"], dynamic: ["warn", "known only at run time"],
  placeholder: ["bad", "a stub"], missing: ["bad", "missing"],
};

/* Show a question; `chosen` has the release of each package, and `choose(package, release)` changes it. */
async function showSymbol(view, asked, chosen, choose) {
  const record = await explorer.record(asked.name);
  const owner = asked.module && explorer.owner(asked.module);
  const title = asked.module ? `${asked.module}:${asked.name}` : asked.name;
  const parts = [make("h1", {}, code(title))];
  if (!record || !record.length) parts.push(unknown(asked));
  else {
    const first = (entry) => (owner ? entry.package.import !== owner.import : explorer.ORDER.indexOf(entry.package.name));
    const entries = [...record].sort((one, other) => first(one) - first(other));
    parts.push(...await Promise.all(entries.map((entry) => card(asked, entry, chosen[entry.package.name], choose))));
  }
  view.replaceChildren(...parts);
}

function unknown(asked) {
  const text = asked.module ? asked.name : asked.name.split(".").pop();
  const near = suggestions(text).slice(0, 6).map((number) => explorer.names[number]);
  return make("div", { class: "card" },
    make("p", {}, "No release of sglang or vllm has this name. ",
      near.length ? "These contain it: " : "Its packages may not be indexed, or it is a name of your own code."),
    make("p", { class: "examples" }, near.map((name) => make("a", { href: `#/${name}` }, code(name)))));
}

async function card(asked, entry, release, choose) {
  const pack = entry.package, answers = merged(entry.answers);
  const place = asked.module && explorer.owner(asked.module)?.import === pack.import
    ? await placed(asked, entry, release) : null;
  const answer = place || at(answers, release) || { status: "missing", statement: "", remarks: "" };
  const [level, word] = WORDS[answer.status];
  const box = make("section", { class: "card", "data-package": pack.name, "aria-label": pack.name },
    make("h2", {}, `${pack.name} ${pack.versions[release]}`, make("span", { class: `badge ${level}` }, word)));
  if (place) box.append(make("p", {}, place.sentence));
  if (answer.statement) box.append(copyable(answer.statement, `import for ${pack.name} ${pack.versions[release]}`));
  if (answer.remarks) box.append(make("p", { class: "remarks" }, answer.remarks));
  if (!answer.statement && UNUSABLE.has(answer.status)) box.append(make("p", {}, gone(pack, answers, release)));
  box.append(...timeline(pack, answers, release, (to) => choose(pack.name, to)));
  box.append(historyTable(pack, asked, answers));
  const calls = signatures(pack, entry.answers, asked.argument);
  if (calls) box.append(calls);
  if (entry.places.length > 1) box.append(places(pack, entry, release, asked));
  return box;
}

/* Return what a release says to the import of a name from a module, with a sentence about the module. */
async function placed(asked, entry, release) {
  const pack = entry.package, version = pack.versions[release];
  const ranges = entry.places.find((each) => each.module === asked.module)?.ranges || [];
  const here = at(ranges, release);
  const import_ = statement(asked.module, asked.name);
  if (here && !UNUSABLE.has(here.status)) {
    return { ...here, statement: import_, remarks: "", sentence: `${pack.name} ${version} has it there.` };
  }
  const had = ranges.filter((each) => !UNUSABLE.has(each.status));
  const known = had.length ? `; it is there in ${had.map((each) => releases(pack, each)).join(", ")}` : "; no release has it there";
  const sentence = here ? `In ${version}, ${asked.module} has only a stub of it${known}.`
    : `${pack.name} ${version} does not have it there${known}.`;
  const status = here ? here.status : "missing";
  const moved = await followed(asked, entry, release);
  if (moved) return { status, sentence, ...moved };
  const other = at(entry.answers, release);
  if (!other || !other.statement || !sameKind(asked, entry, other)) return { status, sentence, statement: "", remarks: other ? other.remarks : "" };
  const caveat = UNUSABLE.has(other.status) ? other.remarks : `${other.remarks ? `${other.remarks}; ` : ""}the same name, perhaps another object`;
  return { status, sentence, statement: other.statement, remarks: caveat };
}

/* Return whether an answer is of the kind that the name had in the asked module, as far as that is known. */
function sameKind(asked, entry, answer) {
  const former = entry.answers.find((each) => each.module === asked.module && !UNUSABLE.has(each.status));
  return !former || !former.kind || !answer.kind || former.kind === answer.kind;
}

/* Return the import to which a definition was moved or renamed, as far as the index has followed it. */
async function followed(asked, entry, release) {
  let [module, name, last] = [asked.module, asked.name, -1];
  const evidence = [];
  for (let steps = 0; steps < 12; steps++) {
    const known = name === asked.name ? entry : await ofPackage(name, entry.package);
    const step = known?.successions.find((each) => each.oldModule === module && each.oldName === name
      && each.last > last && each.last < release);
    if (!step) return null;
    [module, name, last] = [step.module, step.name, step.last];
    evidence.push(`${step.name === step.oldName ? "moved" : "renamed"} in ${entry.package.versions[last + 1]}: ${step.evidence}`);
    const target = name === asked.name ? entry : await ofPackage(name, entry.package);
    const here = at(target?.places.find((each) => each.module === module)?.ranges || [], release);
    if (here && !UNUSABLE.has(here.status)) {
      return { statement: statement(module, name), remarks: evidence.join("; then ") };
    }
  }
  return null;
}

/* Return the entry of a package in the record of a name. */
async function ofPackage(name, pack) {
  return (await explorer.record(name))?.find((entry) => entry.package === pack);
}

function gone(pack, answers, release) {
  const before = answers.filter((each) => each.last < release && !UNUSABLE.has(each.status)).pop();
  const after = answers.find((each) => each.first > release && !UNUSABLE.has(each.status));
  if (before) return `The last release before that has it is ${pack.versions[before.last]}. No successor is known.`;
  if (after) return `The first release that has it is ${pack.versions[after.first]}.`;
  return "No release has a real object of this name.";
}

/* Return the table of the releases with the same answer, the newest first. */
function historyTable(pack, asked, answers) {
  const classes = colours(answers);
  const rows = answers.map((answer, number) => make("tr", {},
    make("td", { class: "releases" }, make("span", { class: `swatch ${classes[number]}`, "aria-hidden": "true" }),
      make("a", { href: address({ name: asked.name }, { [pack.name]: answer.last }) }, releases(pack, answer))),
    make("td", {}, WORDS[answer.status][1]),
    make("td", {}, answer.statement ? code(answer.statement) : null, answer.remarks ? make("small", {}, answer.remarks) : null)));
  return make("details", { open: answers.length < 9 }, make("summary", {}, `History: ${counted(answers.length, "range")} of releases`),
    table(`History in ${pack.name}`, ["Releases", "Status", "Import"], rows.reverse()));
}

/* Return the changes of the signature, the newest first; null if there is none to show. */
function signatures(pack, answers, argument) {
  const known = [];
  for (const answer of answers) {
    if (!answer.signature || UNUSABLE.has(answer.status)) continue;
    const before = known[known.length - 1];
    if (before && before.signature === answer.signature) before.last = answer.last;
    else known.push({ first: answer.first, last: answer.last, signature: answer.signature, kind: answer.kind });
  }
  if (!known.length) return null;
  const rows = known.map((each, number) => make("tr", {},
    make("td", { class: "releases" }, releases(pack, each)),
    make("td", {}, number ? changes(known[number - 1].signature, each.signature) : whole(each.signature))));
  const title = known.length > 1 ? `Signature: ${counted(known.length - 1, "change")}` : "Signature";
  return make("details", { open: Boolean(argument) }, make("summary", {}, title),
    argument ? make("p", {}, taking(pack, known, argument)) : null,
    table(`Signature in ${pack.name}`, ["Releases", "Call"], rows.reverse()));
}

/* Return the parameters by method; a function has one entry with an empty name. */
function methods(signature) {
  if (!signature.startsWith("{")) return new Map([["", signature]]);
  return new Map(Object.entries(JSON.parse(signature)));
}

function whole(signature) {
  return [...methods(signature)].map(([method, call]) => make("div", {}, code(`${method}${call}`)));
}

function changes(old, now) {
  const [before, after] = [methods(old), methods(now)];
  const names = [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name));
  return names.map((name) => [
    before.has(name) ? make("div", { class: "was" }, make("small", {}, "was"), code(`${name}${before.get(name)}`)) : null,
    after.has(name) ? make("div", { class: "is" }, make("small", {}, before.has(name) ? "is" : "new"), code(`${name}${after.get(name)}`)) : null,
  ]);
}

/* Say which releases take an argument. */
function taking(pack, known, argument) {
  const word = new RegExp(`[(,*\\s]${argument}\\s*[=,):]`);
  const ranges = known.filter((each) => [...methods(each.signature).values()].some((call) => word.test(call)));
  return ranges.length ? `“${argument}” is a parameter in ${ranges.map((each) => releases(pack, each)).join(", ")}.`
    : `“${argument}” is a parameter in no release whose signature is known.`;
}

const MANY_PLACES = 40;

/* Return the modules that bind the name, those of the chosen release first. */
function places(pack, entry, release, asked) {
  const here = (place) => (at(place.ranges, release) ? 0 : 1);
  const sorted = [...entry.places].sort((one, other) => here(one) - here(other));
  const rows = sorted.slice(0, MANY_PLACES).map((place) => make("tr", {},
    make("td", {}, make("a", { href: address({ module: place.module, name: asked.name }, { [pack.name]: release }) }, code(place.module))),
    make("td", {}, place.ranges.map((range) => make("div", {}, `${releases(pack, range)} `, make("small", { style: "display:inline" }, WORDS[range.status][1]))))));
  const more = sorted.length > MANY_PLACES ? `, of which ${MANY_PLACES} are listed` : "";
  return make("details", {}, make("summary", {}, `${counted(sorted.length, "module")} with this name${more}`),
    table(`Modules of ${pack.name} with this name`, ["Module", "Releases"], rows));
}
