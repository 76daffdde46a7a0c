// Fit and calibrate: two steps, the job that does them while it runs, and what came of it.

import { get, path, remove } from "../api.js";
import { fill, h } from "../dom.js";
import { ask } from "../parts/dialog.js";
import { follow, hasEnded } from "../parts/job.js";
import { kindOf } from "../parts/kinds.js";
import { busy, say } from "../parts/messages.js";
import { empty } from "../parts/states.js";
import { go, to } from "../router.js";
import { can } from "../session.js";
import { ofDetector } from "./detector.js";
import { calibrateStep } from "./learn/calibrate_step.js";
import { fitStep } from "./learn/fit_step.js";
import { outcome } from "./learn/outcome.js";

const KINDS = ["fit", "extend", "forget", "calibrate"];

export const learn = ofDetector("learn", async ({ signal, refresh }, detector) => {
  if (!can("fit")) return empty("Not for this role", "Fitting takes a key of role fit, calibrating one of role admin.");
  const [info, tip, last] = await Promise.all([get("/v1/info", { signal }), latest(detector, signal), lastJob(detector, signal)]);
  const samples = kindOf(detector.kind, info);
  const above = h("div", { class: "stack" });
  const onJob = (job) => {
    steps.hidden = true;
    fill(above, follow(job, { signal, onEnd, unit: unitOf(job, samples) }));
    above.scrollIntoView({ block: "nearest" });
  };

  /** A new version is shown with all there is to it; where it failed, what was chosen is kept. */
  function onEnd(job) {
    if (job.state === "succeeded") {
      say(`The job is done: ${job.detector}.`);
      return refresh();
    }
    steps.hidden = false;
    return fill(above, outcome(job, samples));
  }

  const shared = { limits: info.limits, samples, signal, onJob };
  const steps = h("div", { class: "columns steps" }, fitStep(tip, shared), calibrateStep(tip, shared));
  if (last && hasEnded(last)) fill(above, outcome(last, samples));
  else if (last) onJob(last);
  return h("div", { class: "stack" }, above, ahead(detector, tip), steps, can("admin") && deletion(detector));
});

/** What a job counts: where a network learns first, the steps of that as well. */
const unitOf = (job, { isImage, one }) => (job.kind === "fit" && !isImage ? "step" : one);

/** Return the detector at its latest version, which fits and calibrations build on. */
async function latest(detector, signal) {
  if (detector.tip === detector.version) return detector;
  const found = await get(path`/v1/detectors/${detector.name}/versions/${detector.tip}`, { signal });
  return found.detector;
}

/** Return the last job that taught it something, with its result; null if there was none. */
async function lastJob(detector, signal) {
  const { jobs } = await get("/v1/jobs", { query: { detector: detector.name, limit: 50 }, signal });
  // One of the same name may have been deleted before.
  const ours = jobs.filter((job) => KINDS.includes(job.kind) && new Date(job.created_at) >= new Date(detector.created_at));
  const shown = ours.find((job) => !hasEnded(job)) ?? ours[0];
  return shown ? get(path`/v1/jobs/${shown.id}`, { signal }) : null;
}

function ahead(detector, tip) {
  if (tip.version === detector.in_service) return null;
  return h("div", { class: "box note" },
    h("p", {}, `Version ${detector.in_service} is in service; the latest is version ${tip.version}, and what is done here builds on that. `,
      h("a", { href: to`/detectors/${detector.name}/versions` }, "See the versions")));
}

function deletion({ name }) {
  const button = h("button", { type: "button", class: "danger" }, `Delete ${name}`);
  button.addEventListener("click", async () => {
    const asked = await ask({
      title: `Delete ${name}?`,
      text: "All its versions go, with what it has learned, its history and its reviews. This cannot be undone; export it first on the Versions page to keep a copy.",
      action: "Delete it", danger: true,
    });
    if (!asked) return;
    const isGone = await busy(button, async () => {
      await remove(path`/v1/detectors/${name}`, { query: asked });
      return true;
    });
    if (!isGone) return;
    say(`${name} was deleted.`);
    go("/detectors");
  });
  return h("details", { class: "foot" }, h("summary", {}, "Delete this detector"), h("div", { class: "row" }, button));
}
