"use strict";
/* The data: scripts that call `explorer.loaded`, since a page that was opened from disk cannot fetch files. */

const explorer = {
  promises: new Map(),
  arrived: new Map(),

  /* Called by each data file. */
  loaded(key, content) {
    const waiting = explorer.arrived.get(key);
    explorer.arrived.set(key, content);
    if (typeof waiting === "function") waiting(content);
  },

  /* Return a promise of the content of `data/KEY.js`. */
  load(key) {
    if (!explorer.promises.has(key)) {
      explorer.promises.set(key, new Promise((resolve, reject) => {
        if (explorer.arrived.has(key)) return resolve(explorer.arrived.get(key));
        explorer.arrived.set(key, resolve);
        const script = document.createElement("script");
        script.src = `data/${key}.js`;
        script.onerror = () => reject(new Error(`data/${key}.js cannot be loaded`));
        document.head.append(script);
      }));
    }
    return explorer.promises.get(key);
  },

  /* Prepare the list of names, which is loaded with the page. */
  open() {
    const head = explorer.arrived.get("names");
    explorer.head = head;
    explorer.modules = head.modules.split(" ");
    explorer.names = head.names.split(" ").concat(explorer.modules);
    explorer.lower = `${head.names} ${head.modules}`.toLowerCase().split(" ");
    explorer.numbers = new Map(explorer.names.map((name, number) => [name, number]));
    explorer.packages = head.packages;
    explorer.packages.forEach((each, number) => { each.number = number; });
  },

  package(name) { return explorer.packages.find((each) => each.name === name); },

  /* Return the package that a module belongs to, by the first part of its path. */
  owner(module) {
    const top = module.split(".")[0];
    return explorer.packages.filter((each) => each.import === top).pop();
  },

  /* Return a promise of the record of a name or module: one entry per package; null for an unknown name. */
  async record(name) {
    const number = explorer.numbers.get(name);
    if (number === undefined) return null;
    const shard = await explorer.load(`shard-${Math.floor(number / explorer.head.shard)}`);
    const text = (at) => shard.strings[at];
    const path = (at) => (at > 0 ? explorer.modules[at - 1] : text(-at));
    return shard.records[number % explorer.head.shard].map(([pack, answers, places, successions]) => ({
      package: explorer.packages[pack],
      answers: answers.map(([first, last, status, kind, remarks, module, target, signature]) => ({
        first, last, status: explorer.head.statuses[status], kind: text(kind), remarks: text(remarks),
        module: path(module), name: text(target), statement: statement(path(module), text(target)),
        signature: text(signature),
      })),
      places: places.map(([module, ...ranges]) => ({ module: path(module), ranges: triples(ranges) })),
      successions: successions.map(([oldModule, oldName, last, module, target, percent, evidence]) => ({
        oldModule: path(oldModule), oldName: text(oldName), last, module: path(module), name: text(target),
        percent, evidence: text(evidence),
      })),
    }));
  },
};

function triples(flat) {
  const found = [];
  for (let at = 0; at < flat.length; at += 3) {
    found.push({ status: explorer.head.statuses[flat[at]], first: flat[at + 1], last: flat[at + 2] });
  }
  return found;
}

/* Return the import statement for a name of a module, or for a module; empty for none. */
function statement(module, name) {
  if (!module) return "";
  return name ? `from ${module} import ${name}` : `import ${module}`;
}

const UNUSABLE = new Set(["missing", "placeholder"]);

/* Return the range that contains a release, of ranges with `first` and `last`. */
function at(ranges, release) {
  return ranges.find((each) => each.first <= release && release <= each.last);
}
