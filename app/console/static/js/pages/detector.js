// What all pages of one detector share: its name, its state, and the way to the other pages.

import { get, path } from "../api.js";
import { h } from "../dom.js";
import { isOfImages } from "../parts/kinds.js";
import { badge } from "../parts/states.js";
import { to } from "../router.js";
import { can } from "../session.js";
import { links } from "../shell.js";

const PAGES = [
  ["learn", "Fit and calibrate", "fit"],
  ["threshold", "Threshold", "score"],
  ["inspect", "Inspect", "score"],
  ["history", "History", "score"],
  ["drift", "Drift", "score"],
  ["versions", "Versions", "score"],
];

/**
 * Return a page of a detector, with the heading and tabs above the content.
 * @param {string} here the last part of its address.
 * @param {(context: Object, detector: Object) => Promise<Node>|Node} content
 */
export function ofDetector(here, content) {
  return async (context) => {
    const { name } = context.params;
    const detector = await get(path`/v1/detectors/${name}`, { signal: context.signal });
    const inside = await content(context, detector);
    const pages = PAGES.filter(([, , role]) => can(role));
    return h("div", {},
      h("div", { class: "head" }, h("h1", {}, `${name}: ${PAGES.find(([each]) => each === here)[1].toLowerCase()}`), h("div", { class: "row" }, states(detector))),
      h("nav", { class: "tabs", aria: { label: `Pages of ${name}` } }, links(pages.map(([each, text]) => [`${to`/detectors/${name}`}/${each}`, text, each === here]))),
      inside);
  };
}

/** Return what is to be known of a detector, as words in pills. */
export function states(detector) {
  const state = { created: ["note", "not fitted"], fitted: ["warn", "not calibrated"], calibrated: ["good", "calibrated"] }[detector.state];
  return [
    !isOfImages(detector) && badge("", detector.kind),
    badge(...state),
    detector.stale && badge("warn", "calibration is stale"),
    badge("", `version ${detector.in_service} in service`),
    detector.shadow && badge("note", `version ${detector.shadow} in shadow`),
  ];
}
