// (to be written)

import { h } from "../dom.js";
import { empty } from "../parts/states.js";

export function audit() {
  return h("div", {}, h("h1", {}, "audit"), empty("Not there yet", "This page is being written."));
}
