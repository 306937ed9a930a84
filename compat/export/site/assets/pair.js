"use strict";
/* The page of a pair: whether two releases go together, and how to install them. */

const TORCH = ["the same torch", "torch of the same minor version", "different versions of torch"];

async function showPair(view, names) {
  const data = await explorer.load("pairs");
  const [sglang, vllm] = [explorer.package("sglang"), explorer.package("vllm")];
  const first = pick(sglang, names[0], data), second = pick(vllm, names[1], data);
  const versions = [sglang.versions[first], vllm.versions[second]];
  const go = () => { location.hash = `#/pair/${one.value}/${two.value}`; };
  const one = selector("pair-sglang", sglang, first, data.about.sglang, go);
  const two = selector("pair-vllm", vllm, second, data.about.vllm, go);
  const [torch, problem, clashes, broken] = data.pairs[first][second];
  const found = clashes.map((number) => data.clashes[number]);
  view.replaceChildren(
    make("h1", {}, `sglang ${versions[0]} with vllm ${versions[1]}`),
    make("fieldset", {}, make("legend", {}, "Pair"), make("label", {}, "sglang ", one), make("label", {}, "vllm ", two)),
    make("section", { class: "card", "aria-label": "Verdict" },
      verdict(data.problems[problem], found),
      broken ? make("p", {}, `${data.problems[broken]}.`) : null,
      make("p", {}, `They pin ${TORCH[torch]}. Checked from their requirements on Python ${data.python} and Linux; clashes of what these require in turn are found by `,
        code(`compat pairs ${versions.join(" ")}`), "."),
      data.problems[problem] ? null : install(data, first, versions, found),
      found.length ? clashTable(versions, found) : null),
    make("section", { class: "card", "aria-label": "Other partners" },
      partners("sglang", versions[0], "vllm", data.best.sglang[first] || []),
      partners("vllm", versions[1], "sglang", data.best.vllm[second] || [])),
    make("section", { class: "card", "aria-label": "Requirements" }, make("h2", {}, "What they require"),
      make("p", {}, data.about.sglang[first]), make("p", {}, data.about.vllm[second])));
}

/* Return the index of a version, or of the newest one of which the table knows. */
function pick(pack, version, data) {
  const wanted = pack.versions.indexOf(version);
  return wanted >= 0 && data.about[pack.name][wanted] ? wanted : pack.newest;
}

function selector(id, pack, chosen, about, go) {
  const options = pack.versions.map((version, at) => (about[at] ? make("option", { value: version, selected: at === chosen }, version) : null));
  return make("select", { id, onchange: go }, options.reverse());
}

function verdict(problem, found) {
  const [level, word] = problem ? ["bad", "do not go together"] : found.length ? ["warn", `go together with ${counted(found.length, "override")}`]
    : ["ok", "go together"];
  return [make("h2", {}, make("span", { class: `badge ${level}` }, word)), problem ? make("p", {}, `${problem}.`) : null];
}

function install(data, sglang, versions, found) {
  const extras = data.extras[sglang] ? `[${data.extras[sglang].join(",")}]` : "";
  const pins = `"sglang${extras}==${versions[0]}" "vllm==${versions[1]}"`;
  const parts = [make("h3", {}, "Install")];
  if (found.length) {
    parts.push(make("p", {}, "Write this to ", code("overrides.txt"), ":"),
      copyable(found.map((clash) => clash[3]).sort().join("\n"), "overrides.txt"));
  }
  return [...parts, copyable(`uv pip install${found.length ? " --overrides overrides.txt" : ""} ${pins}`, "install command")];
}

function clashTable(versions, found) {
  const rows = found.map(([name, sglang, vllm, override, torch]) => make("tr", {},
    make("td", {}, code(name), torch ? make("small", {}, "bound to torch: test it on a GPU") : null),
    make("td", {}, code(sglang || "any")), make("td", {}, code(vllm || "any")), make("td", {}, code(override))));
  return [make("h3", {}, "Requirements that exclude each other"),
    table("Clashes", ["Package", `sglang ${versions[0]}`, `vllm ${versions[1]}`, "Override"], rows, "clashes")];
}

function partners(name, version, other, best) {
  const pack = explorer.package(other);
  const href = (release) => (name === "sglang" ? `#/pair/${version}/${pack.versions[release]}` : `#/pair/${pack.versions[release]}/${version}`);
  return [make("h3", {}, `Best partners of ${name} ${version}`), make("p", { class: "examples" },
    best.length ? best.map((release) => make("a", { href: href(release) }, `${other} ${pack.versions[release]}`)) : "none")];
}
