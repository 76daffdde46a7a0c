// Drop images, or what else the detector judges, and see what the detector says of each, and why.

import { h } from "../dom.js";
import { dropzone } from "../parts/dropzone.js";
import { check, field } from "../parts/field.js";
import { samplesOf } from "../parts/kinds.js";
import { unready } from "../parts/unready.js";
import { to } from "../router.js";
import { can } from "../session.js";
import { ofDetector } from "./detector.js";
import { Bench } from "./inspect/bench.js";

export const inspect = ofDetector("inspect", async ({ signal }, detector) => {
  const samples = await samplesOf(detector, signal);
  const { one, many } = samples;
  if (detector.state === "created") return unready(detector.name, "Not fitted yet", `The detector has seen no normal ${one} yet, so it cannot tell what is odd. Fit it first.`);
  const group = h("input", { maxLength: 100, autocomplete: "off" });
  const stale = h("input", {});
  const bench = new Bench(detector, samples, () => ({ group: group.value.trim(), allowStale: stale.checked }), signal);
  const zone = dropzone({
    title: `Drop ${many} here, or paste one`,
    hint: `Each is scored by itself and kept in the history. The ${many} stay in this tab: the service keeps none.`,
    accept: samples.accept,
    folders: true,
    paste: true,
    signal,
    onFiles: (files) => {
      zone.classList.add("small-zone"); // they are what is looked at from now on
      bench.add(files);
    },
  });
  const grouped = detector.groups > 0 || Object.keys(detector.threshold?.by_group ?? {}).length > 0;
  return h("div", { class: "stack" },
    detector.stale && staleBox(detector, many, stale),
    detector.state === "fitted" && uncalibratedBox(detector, many),
    zone,
    h("details", { open: grouped || null }, h("summary", {}, "Lot, session or camera"),
      field(`Group of the ${many} that follow`, group, `Optional. Kept with each ${one}; where a group has a threshold of its own, that judges.`)),
    bench.element);
});

function uncalibratedBox({ name }, many) {
  return h("div", { class: "box note" },
    h("p", {}, `This detector is fitted, but not calibrated: ${many} get a score, but no verdict, for there is no threshold yet.`),
    can("admin") && h("a", { href: to`/detectors/${name}/learn` }, "Calibrate it"));
}

function staleBox({ name }, many, input) {
  return h("div", { class: "box warn stack tight" },
    h("p", {}, `The calibration is stale: ${many} were fitted or forgotten since. What the threshold promises does not hold, so ${many} are not judged by it unless you say so.`),
    check("Judge by the stale calibration all the same", input),
    can("admin") && h("a", { href: to`/detectors/${name}/learn` }, "Calibrate it again"));
}
