// A step of the way from images to a detector that judges.

import { h } from "../../dom.js";
import { badge } from "../../parts/states.js";

/** Return a step: its number, title, state as [kind, word], what it is for, and what it holds. */
export function step(number, title, state, text, ...content) {
  return h("section", { class: "card step stack", id: `step-${number}`, aria: { labelledby: `step-${number}-title` } },
    h("div", { class: "row" },
      h("span", { class: "step-number", aria: { hidden: "true" } }, number),
      h("h2", { id: `step-${number}-title`, tabIndex: -1 }, title),
      badge(...state)),
    h("p", { class: "muted" }, text),
    content);
}
