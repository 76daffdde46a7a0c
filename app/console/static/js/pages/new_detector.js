// (to be written)

import { h } from "../dom.js";
import { empty } from "../parts/states.js";

export function newDetector() {
  return h("div", {}, h("h1", {}, "newDetector"), empty("Not there yet", "This page is being written."));
}
