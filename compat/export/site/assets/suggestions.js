"use strict";
/* The list below the input: the names that contain what was typed, the likeliest first. */

const MOST = 12;

/* Return the numbers of the names that contain a text, the likeliest first. */
function suggestions(text) {
  const wanted = text.toLowerCase(), { names, lower } = explorer, { now, weight } = explorer.head;
  const best = [];
  for (let number = 0; number < lower.length; number++) {
    const found = lower[number].indexOf(wanted);
    if (found < 0) continue;
    const name = names[number];
    let rank = 4;
    if (name === text) rank = 0;
    else if (found === 0) rank = name.length === text.length ? 1 : 2;
    else if (begins(name, found)) rank = 3;
    // A name of the newest releases comes before one that is gone, then one that many modules use, then a short one.
    const score = rank * 1e6 + (now[number] === "0" ? 5e5 : 0) + (9 - weight[number]) * 1e3 + name.length;
    if (best.length === MOST && score >= best[MOST - 1].score) continue;
    let place = best.length;
    while (place > 0 && best[place - 1].score > score) place--;
    best.splice(place, 0, { number, score });
    if (best.length > MOST) best.pop();
  }
  return best.map((each) => each.number);
}

/* Return whether a word of a name begins at a position: after a dot or underscore, or at a capital letter that
   a small one precedes or follows. */
function begins(name, position) {
  const [before, here, after] = [name[position - 1], name[position], name[position + 1] || ""];
  const small = (letter) => letter !== letter.toUpperCase();
  return before === "_" || before === "." || (!small(here) && (small(before) || small(after)));
}

/* Return the packages that have a name, as text; in brackets those whose newest release lacks it. */
function owners(number) {
  const ever = parseInt(explorer.head.ever[number], 16), now = parseInt(explorer.head.now[number], 16);
  return explorer.packages.filter((_, bit) => ever >> bit & 1)
    .map((each) => (now >> each.number & 1 ? each.name : `(${each.name})`)).join(", ");
}

class Suggestions {
  constructor(input, list, choose) {
    this.input = input;
    this.list = list;
    this.choose = choose;
    this.selected = -1;
    input.addEventListener("input", () => this.update());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => this.close());
    list.addEventListener("mousedown", (event) => {
      const item = event.target.closest("li");
      if (item) { event.preventDefault(); this.take(item.dataset.name); }
    });
  }

  update() {
    const text = this.input.value.trim();
    const numbers = /^[\w.]+$/.test(text) ? suggestions(text) : [];
    this.list.replaceChildren(...numbers.map((number, place) => make("li",
      { id: `option-${place}`, role: "option", "aria-selected": "false", "data-name": explorer.names[number] },
      code(explorer.names[number]), make("small", {}, owners(number)))));
    this.selected = -1;
    this.show(numbers.length > 0);
  }

  show(open) {
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    if (!open) this.input.removeAttribute("aria-activedescendant");
  }

  close() { this.show(false); }

  key(event) {
    const items = [...this.list.children];
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && items.length && !this.list.hidden) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.selected = (this.selected + step + items.length + (this.selected < 0 && step < 0 ? 1 : 0)) % items.length;
      items.forEach((item, place) => item.setAttribute("aria-selected", String(place === this.selected)));
      items[this.selected].scrollIntoView({ block: "nearest" });
      this.input.setAttribute("aria-activedescendant", items[this.selected].id);
    } else if (event.key === "Escape") this.close();
    else if (event.key === "Enter") {
      event.preventDefault();
      this.take(this.selected >= 0 && !this.list.hidden ? items[this.selected].dataset.name : this.input.value);
    }
  }

  take(text) {
    this.close();
    this.choose(text);
  }
}
