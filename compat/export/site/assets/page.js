"use strict";
/* Small helpers that build parts of a page; text never becomes markup. */

/* Return an element with attributes and children; a string child is text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/* Return a text as code, which may break after a dot or an underscore. */
function code(text) {
  return make("code", {}, text.split(/(?<=[._])(?=\w)/).flatMap((part, number) => (number ? [make("wbr"), part] : [part])));
}

/* Return a text to copy, with its button. */
function copyable(text, what) {
  const button = make("button", { type: "button", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    await copy(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return make("div", { class: "copy" }, make("pre", { tabindex: 0, "aria-label": what }, code(text)), button);
}

/* Copy a text; a page that was opened from disk may have no clipboard of its own. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { style: "position:fixed;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/* Return consecutive releases as text: `0.9.0` or `0.9.0 – 0.11.2`. */
function releases(pack, range) {
  const [first, last] = [pack.versions[range.first], pack.versions[range.last]];
  return first === last ? first : `${first} – ${last}`;
}

function counted(count, noun) { return `${count} ${noun}${count === 1 ? "" : "s"}`; }

/* Return a table that scrolls by itself. */
function table(label, heads, rows, kind = "") {
  return make("div", { class: `scroll ${kind}`, tabindex: 0, role: "region", "aria-label": label },
    make("table", {},
      make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, rows)));
}
