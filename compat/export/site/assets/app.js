"use strict";
/* Connects the parts: the address decides what is shown, and every choice changes the address. */

explorer.ORDER = ["vllm", "sglang", "sglang-kernel", "sgl-kernel"];
const EXAMPLES = ["FlexibleArgumentParser", "CacheConfig", "Fp8LinearMethod", "vllm.utils", "GPTQLinearMethod"];

explorer.open();
const view = document.getElementById("view"), input = document.getElementById("ask");
const chosen = Object.fromEntries(explorer.packages.map((each) => [each.name, each.newest]));

/* Return the releases that the address of a question names: the package asked about, or those that have the name. */
function named(asked) {
  const owner = asked.module ? explorer.owner(asked.module) : null;
  const number = explorer.numbers.get(asked.name);
  const ever = number === undefined ? 0 : parseInt(explorer.head.ever[number], 16);
  const names = ["vllm", "sglang"].filter((name) => (owner ? owner.name === name : ever >> explorer.package(name).number & 1));
  return Object.fromEntries(names.map((name) => [name, chosen[name]]));
}

function ask(text) {
  const asked = question(text.trim());
  if (asked) location.hash = address(asked, named(asked));
  else if (text.trim()) view.replaceChildren(make("p", {}, "This names nothing to look up: enter a name, an import, or the last line of a traceback."));
}

async function show() {
  const { page, asked, chosen: given = {}, releases: pair } = parsed(location.hash);
  Object.assign(chosen, given);
  const focused = document.activeElement?.dataset?.package;
  document.getElementById("search").hidden = page === "pair";
  document.querySelectorAll("nav a").forEach((link) => {
    link.toggleAttribute("aria-current", link.hash === (page === "pair" ? "#/pair" : "#/"));
  });
  for (const name of ["vllm", "sglang"]) document.getElementById(name).value = String(chosen[name]);
  try {
    if (page === "pair") await showPair(view, pair);
    else if (asked) await showSymbol(view, asked, chosen, (name, release) => choose(asked, name, release));
    else start();
  } catch (error) {
    view.replaceChildren(make("p", {}, `${error.message}: the folder of this site is not complete.`));
  }
  document.getElementById("said").textContent = summary();
  document.title = page === "pair" ? "Pairs" : asked ? asked.name : "sglang and vllm, release by release";
  if (asked && document.activeElement !== input) input.value = asked.module ? `${asked.module}:${asked.name}` : asked.name;
  if (focused) view.querySelector(`.line[data-package="${focused}"]`)?.focus();
}

/* Return what a screen reader says about the page: its heading and the verdict of each card. */
function summary() {
  const heads = [...view.querySelectorAll("h1, .card > h2")];
  return heads.map((head) => [...head.childNodes].map((node) => node.textContent).join(" ")).join(", ");
}

function choose(asked, name, release) {
  chosen[name] = release;
  const shown = name in named(asked) ? named(asked) : { ...named(asked), [name]: release };
  replaceAddress(address(asked, shown));
}

/* Moving along a bar is one visit, not one per release. */
function replaceAddress(hash) {
  window.history.replaceState(null, "", hash);
  show();
}

function start() {
  const total = explorer.packages.reduce((sum, each) => sum + each.versions.length, 0);
  view.replaceChildren(
    make("h1", {}, "Where is it in each release?"),
    make("p", {}, `${explorer.names.length.toLocaleString("en")} names and modules in ${total} releases of sglang, vllm and their kernels.`),
    make("p", { class: "examples" }, "Try ", EXAMPLES.map((name) => make("a", { href: `#/${name}` }, code(name)))),
    make("p", {}, "Or paste an error, such as ",
      code("ImportError: cannot import name 'FlexibleArgumentParser' from 'vllm.utils'"), "."),
    make("p", {}, "Which releases go together? ", make("a", { href: "#/pair" }, "Pick a pair"), "."));
}

for (const name of ["vllm", "sglang"]) {
  const pack = explorer.package(name), select = document.getElementById(name);
  select.append(...pack.versions.map((version, release) => make("option", { value: release }, version)).reverse());
  select.addEventListener("change", () => {
    chosen[name] = Number(select.value);
    const { asked } = parsed(location.hash);
    if (asked) replaceAddress(address(asked, named(asked)));
  });
}
new Suggestions(input, document.getElementById("found"), ask);
document.getElementById("search").addEventListener("submit", (event) => { event.preventDefault(); ask(input.value); });
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key === "/" && !typing) { event.preventDefault(); input.focus(); input.select(); }
});
window.addEventListener("hashchange", show);
const newest = explorer.packages.map((each) => each.dates[each.newest]).sort().pop();
document.getElementById("about").textContent = `Made by compat ${explorer.head.version} from releases up to ${newest}. Nothing you type leaves this page.`;
show().then(() => { document.documentElement.dataset.ready = "true"; });
