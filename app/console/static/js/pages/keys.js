// (to be written)

import { h } from "../dom.js";
import { empty } from "../parts/states.js";

export function keys() {
  return h("div", {}, h("h1", {}, "keys"), empty("Not there yet", "This page is being written."));
}
