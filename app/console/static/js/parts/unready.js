// What stands where a detector lacks a fit or a calibration: why there is nothing, and the way there.

import { h } from "../dom.js";
import { to } from "../router.js";
import { can } from "../session.js";
import { empty } from "./states.js";

/** `besides` is another way on, where there is one. */
export function unready(name, title, text, besides = null) {
  const learn = can("fit")
    ? h("a", { class: "button primary", href: to`/detectors/${name}/learn` }, "Fit and calibrate")
    : h("span", {}, "Ask somebody whose key may fit.");
  return empty(title, text, h("div", { class: "row" }, learn, besides));
}
