// Where the line is: the calibration's scores, what another line would do, and what it would have done.

import { get, path, Problem } from "../api.js";
import { h } from "../dom.js";
import { box } from "../parts/states.js";
import { unready } from "../parts/unready.js";
import { to } from "../router.js";
import { can } from "../session.js";
import { ofDetector } from "./detector.js";
import { editor } from "./threshold/editor.js";
import { whatIf } from "./threshold/what_if.js";

const BINS = 200; // the most there are: the picture puts neighbours together where it is narrow

export const threshold = ofDetector("threshold", async (context, detector) => {
  const { signal, query } = context;
  const { name } = context.params;
  const version = Number(query.get("version")) || null;
  const shown = version ? (await get(path`/v1/detectors/${name}/versions/${version}`, { signal })).detector : detector;
  if (shown.state !== "calibrated") return uncalibrated(name, shown);
  const allowStale = query.get("stale") === "yes";
  if (shown.stale && !allowStale) return stale(name, version);
  try {
    const scores = await get(path`/v1/detectors/${name}/threshold/scores`, { query: { bins: BINS, version: shown.version, allow_stale: allowStale }, signal });
    // Of the version that is shown, whatever goes into service meanwhile: what is applied is what was seen.
    const about = { ...context, name, shown, version: shown.version, allowStale, scores };
    const { element, wanted } = editor(about);
    return h("div", { class: "stack" },
      version && version !== detector.in_service && box("note", [`This is version ${version}, which is not in service. A line that is applied here makes a new version of it.`]),
      shown.stale && box("warn", ["Images were fitted or forgotten since this calibration: what is said below holds for the scores as they were before."]),
      element,
      can("fit") && whatIf(about, detector, wanted));
  } catch (error) {
    if (error instanceof Problem && error.status === 409) return unready(name, error.title, error.message);
    throw error;
  }
});

function uncalibrated(name, detector) {
  const isFitted = detector.state === "fitted";
  return unready(
    name,
    isFitted ? "Not calibrated yet" : "Not fitted yet",
    isFitted
      ? "A line is chosen from the scores of normal images that the detector has not seen. Calibrate it with some, and they are shown here."
      : "The detector has seen no images yet. Fit it to normal ones, then calibrate it with others: the line is chosen from their scores.");
}

function stale(name, version) {
  const again = `${to`/detectors/${name}/threshold`}?stale=yes${version ? `&version=${version}` : ""}`;
  return unready(
    name,
    "The calibration is stale",
    "Images were fitted or forgotten since the detector was calibrated: its scores have moved, and the line promises nothing of them. Calibrate again; the kept images of the last calibration will do.",
    h("a", { class: "button", href: again }, "Look at it all the same"));
}
