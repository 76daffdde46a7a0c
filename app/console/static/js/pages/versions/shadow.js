// The version that scores alongside, and how often it agreed with the one in service.

import { h } from "../../dom.js";
import { count, counted, moment, share } from "../../format.js";
import { can } from "../../session.js";
import { promote, unfollow } from "./actions.js";

export function shadowed(shadow, context) {
  const part = (images) => `${count(images)} (${share(images / shadow.images)})`;
  return h("section", { class: "card stack", aria: { label: "Shadow" } },
    h("div", { class: "head versions-head" },
      h("div", { class: "stack" },
        h("h2", {}, `Version ${shadow.shadow} scores alongside version ${shadow.in_service}`),
        h("p", {}, shadow.images === 0
          ? "No image has been judged by both yet: the counts begin with the next one."
          : `${counted(shadow.images, "image")} judged by both, ${moment(shadow.since)} to ${moment(shadow.until)}.`)),
      can("admin") && h("div", { class: "row" }, promote(shadow.shadow, context), unfollow(context))),
    shadow.images > 0 && h("dl", { class: "shadow-counts" },
      [
        ["Agreed", shadow.agreed],
        ["Flagged by the one in service alone", shadow.only_service],
        ["Flagged by the shadow alone", shadow.only_shadow],
      ].map(([name, images]) => h("div", {}, h("dt", {}, name), h("dd", {}, part(images))))));
}
