"use strict";
/* What the user asks: a name, a location, a module, or the last line of a traceback. */

const FORMS = [
  [/cannot import name ['"](\w+)['"] from (?:partially initialized module )?['"]([\w.]+)['"]/, (m) => ({ name: m[1], module: m[2] })],
  [/No module named ['"]?([\w.]+)['"]?/, (m) => ({ name: m[1] })],
  [/module ['"]([\w.]+)['"] has no attribute ['"](\w+)['"]/, (m) => ({ name: m[2], module: m[1] })],
  [/\b(\w+)(?:\.\w+)*\(\) got an unexpected keyword argument ['"](\w+)['"]/, (m) => ({ name: m[1], argument: m[2] })],
  [/\b(\w+)(?:\.\w+)*\(\) missing \d+ required [\w-]+ arguments?: ['"](\w+)['"]/, (m) => ({ name: m[1], argument: m[2] })],
  [/(?:type object |^AttributeError: )['"](\w+)['"] (?:object )?has no attribute/, (m) => ({ name: m[1] })],
  [/name ['"](\w+)['"] is not defined/, (m) => ({ name: m[1] })],
  [/\bfrom\s+([\w.]+)\s+import\s+\(?\s*(\w+)/, (m) => ({ name: m[2], module: m[1] })],
  [/(?:^|\n)\s*import\s+([\w.]+)/, (m) => ({ name: m[1] })],
  [/^\s*([\w.]+):(\w+)\s*$/, (m) => ({ name: m[2], module: m[1] })],
  [/^\s*([\w.]+)\s*$/, (m) => ({ name: m[1] })],
];

/* Return `{name, module, argument}` for a text, or null if it asks for nothing that is known. */
function question(text) {
  for (const [pattern, read] of FORMS) {
    const match = pattern.exec(text);
    if (match) return located(read(match));
  }
  return null;
}

/* Return a question whose dotted path is split into module and name, unless it is the path of a module. */
function located(asked) {
  const module = `${asked.module}.${asked.name}`;
  if (asked.module && explorer.numbers.has(module)) return { name: module };
  if (asked.module || !asked.name.includes(".") || explorer.numbers.has(asked.name)) return asked;
  const dot = asked.name.lastIndexOf(".");
  return { module: asked.name.slice(0, dot), name: asked.name.slice(dot + 1) };
}

/* Return the address of a question: `#/vllm/0.33.0/CacheConfig`. */
function address(asked, chosen) {
  const parts = Object.entries(chosen).map(([name, release]) => `${name}/${explorer.package(name).versions[release]}/`);
  const place = asked.module ? `${asked.module}:${asked.name}` : asked.name;
  return `#/${parts.join("")}${place}${asked.argument ? `?argument=${asked.argument}` : ""}`;
}

/* Return the text of an address, which may have been cut in the middle of a letter. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/* Return `{page, asked, chosen}` for an address, where `chosen` maps packages to releases. */
function parsed(hash) {
  const [path, options] = decoded(hash.replace(/^#\/?/, "")).split("?");
  const parts = path.split("/").filter(Boolean);
  if (parts[0] === "pair") return { page: "pair", releases: parts.slice(1) };
  const chosen = {};
  while (parts.length > 1 && explorer.package(parts[0])) {
    const release = explorer.package(parts[0]).versions.indexOf(parts[1]);
    if (release >= 0) chosen[parts[0]] = release;
    parts.splice(0, 2);
  }
  const asked = parts.length ? question(parts.join("/")) : null;
  const argument = new URLSearchParams(options || "").get("argument");
  if (asked && argument) asked.argument = argument;
  return { page: "names", asked, chosen };
}
