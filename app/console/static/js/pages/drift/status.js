// How the traffic stands, in large words, and what is known of the comparison.

import { h } from "../../dom.js";
import { count, moment } from "../../format.js";
import { box } from "../../parts/states.js";
import { STATES } from "./words.js";

const OF = { calibration: "calibration", traffic: "past traffic" };

/** Return the state, its reasons and facts; `actions` are the buttons beside it. */
export function status(told, actions) {
  const [kind, word] = STATES[told.state] ?? ["", told.state];
  return h("section", { class: "card stack", aria: { label: "State" } },
    h("div", { class: "drift-state" },
      h("div", { class: "stack" },
        h("div", {}, h("h2", { class: `drift-word ${kind}` }, word)),
        h("p", {}, told.summary)),
      h("div", { class: "row" }, actions)),
    box("note", told.reasons, "To know"),
    told.baseline && h("dl", { class: "drift-facts" },
      fact("Compared with", `${OF[told.baseline.of] ?? told.baseline.of}, version ${told.baseline.version}`),
      fact("Baseline", `${count(told.baseline.images)} images`),
      fact("Since", moment(told.baseline.since)),
      fact("Seen", `${count(told.images)} images`),
      told.lag_images > 1 && fact("Watched", `one image in ${count(told.lag_images)}`),
      told.images_dropped > 0 && fact("Missed", `${count(told.images_dropped)} images, too fast to be seen`)),
    told.promise && h("p", { class: "muted small" }, told.promise));
}

function fact(name, text) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, text));
}
