// Drop images and see what the detector says of each, and why.

import { h } from "../dom.js";
import { dropzone } from "../parts/dropzone.js";
import { check, field } from "../parts/field.js";
import { unready } from "../parts/unready.js";
import { to } from "../router.js";
import { can } from "../session.js";
import { ofDetector } from "./detector.js";
import { Bench } from "./inspect/bench.js";

export const inspect = ofDetector("inspect", ({ signal }, detector) => {
  if (detector.state === "created") return unready(detector.name, "Not fitted yet", "The detector has seen no normal image yet, so it cannot tell what is odd. Fit it first.");
  const group = h("input", { maxLength: 100, autocomplete: "off" });
  const stale = h("input", {});
  const bench = new Bench(detector, () => ({ group: group.value.trim(), allowStale: stale.checked }), signal);
  const zone = dropzone({
    title: "Drop images here, or paste one",
    hint: "Each is scored by itself and kept in the history. The images stay in this tab: the service keeps none.",
    folders: true,
    paste: true,
    signal,
    onFiles: (files) => {
      zone.classList.add("small-zone"); // the images are what is looked at from now on
      bench.add(files);
    },
  });
  const grouped = detector.groups > 0 || Object.keys(detector.threshold?.by_group ?? {}).length > 0;
  return h("div", { class: "stack" },
    detector.stale && staleBox(detector, stale),
    detector.state === "fitted" && uncalibratedBox(detector),
    zone,
    h("details", { open: grouped || null }, h("summary", {}, "Lot, session or camera"),
      field("Group of the images that follow", group, "Optional. Kept with each image; where a group has a threshold of its own, that judges.")),
    bench.element);
});

function uncalibratedBox({ name }) {
  return h("div", { class: "box note" },
    h("p", {}, "This detector is fitted, but not calibrated: images get a score, but no verdict, for there is no threshold yet."),
    can("admin") && h("a", { href: to`/detectors/${name}/learn` }, "Calibrate it"));
}

function staleBox({ name }, input) {
  return h("div", { class: "box warn stack tight" },
    h("p", {}, "The calibration is stale: images were fitted or forgotten since. What the threshold promises does not hold, so images are not judged by it unless you say so."),
    check("Judge by the stale calibration all the same", input),
    can("admin") && h("a", { href: to`/detectors/${name}/learn` }, "Calibrate it again"));
}
