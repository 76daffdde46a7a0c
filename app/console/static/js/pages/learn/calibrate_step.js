// Step two: draw the line by normal images that were not fitted, and known anomalies if there are any.

import { path, post } from "../../api.js";
import { h } from "../../dom.js";
import { capital, count, counted } from "../../format.js";
import { ask } from "../../parts/dialog.js";
import { check, field } from "../../parts/field.js";
import { busy } from "../../parts/messages.js";
import { can } from "../../session.js";
import { imageChooser } from "./image_chooser.js";
import { sending } from "./sending.js";
import { serverFolder } from "./server_folder.js";
import { step } from "./step.js";
import { target } from "./target.js";

/**
 * @param {Object} tip the detector at its latest version, which a calibration builds on.
 * @param {{limits: Object, samples: Object, signal: AbortSignal, onJob: (job: Object) => void}} what
 */
export function calibrateStep(tip, { limits, samples, signal, onJob }) {
  const told = (...content) => step(2, "Calibrate", stateOf(tip, samples), purpose(samples), content);
  if (tip.fitted_images === 0) return told(h("p", {}, "This comes after the first step."));
  if (!can("admin")) return told(h("p", {}, "The line decides what is flagged: drawing it takes a key of role admin."));
  return told(
    tip.stale && tip.calibration_images > 0 && again(tip, samples, onJob),
    form(tip, { limits, samples, signal, onJob }));
}

function purpose({ isImage, many }) {
  return `Show it other ${isImage ? "images of good parts" : `normal ${many}`}, which it was not fitted to. Their scores decide where the line is drawn, and what may be promised about false alarms.`;
}

function stateOf(tip, { one }) {
  if (tip.calibration_images === 0) return ["note", tip.fitted_images > 0 ? "next step" : "second step"];
  const images = counted(tip.calibration_images, one);
  return tip.stale ? ["warn", `stale: ${images} before the last fit`] : ["good", `calibrated by ${images}`];
}

/** The calibration of before, scored anew by what is known now. */
function again(tip, { one, many }, onJob) {
  const button = h("button", { type: "button", class: "primary" }, `Calibrate again with the same ${many}`);
  button.addEventListener("click", async () => {
    const asked = await ask({
      title: `Calibrate ${tip.name} again?`,
      text: `The ${counted(tip.calibration_images, one)} of the last calibration are scored again and the line is drawn as before, in a new version.`,
      action: "Calibrate again",
    });
    if (!asked) return;
    const job = await busy(button, () => post(path`/v1/detectors/${tip.name}/recalibrate`, { query: asked }));
    if (job) onJob(job);
  });
  return h("div", { class: "box warn stack tight" },
    h("p", {}, `${capital(many)} were fitted or forgotten since the calibration, so its promise no longer holds.`),
    h("div", {}, button),
    h("p", { class: "small" }, `Or calibrate with new ${many} below.`));
}

function form(tip, { limits, samples, signal, onJob }) {
  const { many } = samples;
  const wire = sending(signal);
  const start = h("button", { type: "submit", class: "primary", disabled: true }, "Calibrate");
  const normals = imageChooser({
    title: `Drop other normal ${many} here`, region: tip.mask === "request", limits, samples, signal, onChange: enable,
    hint: `A folder, ${samples.inWords}; none of those it was fitted to. A hundred or more is good.`,
  });
  const anomalies = imageChooser({
    title: `Drop ${many} with known defects here`, limits, samples, signal, onChange: enable, archives: false, grouped: false,
    hint: "If there are any: they show how many would be found, and the line does not depend on them.",
  });
  const folder = serverFolder(enable, many);
  const rate = target(tip.threshold?.target ?? 0.05, many);
  const byGroup = h("input", { checked: Object.keys(tip.threshold?.by_group ?? {}).length > 0 });
  const review = h("input", { checked: Boolean(tip.threshold?.review_target), on: { change: () => { band.hidden = reviewRate.disabled = !review.checked; } } });
  const reviewRate = h("input", {
    // What is not shown must not hold the form up unseen: it is left out, or unfolded.
    disabled: !review.checked, on: { invalid: () => { more.open = true; } },
    type: "number", min: 0.001, max: 99, step: "any", value: Number((100 * (tip.threshold?.review_target ?? 0.1)).toPrecision(3)),
  });
  const band = h("div", { hidden: !review.checked }, field("Uncertain from, in %", reviewRate, `Above the rate aimed at: so many normal ${many} may be flagged or uncertain together.`));
  const clash = h("p", { class: "error", role: "alert" });

  function enable() {
    const [good, bad] = [normals.chosen(), anomalies.chosen()];
    const hasImages = good.images.length > 0 || good.archive !== null;
    const isMixed = (good.archive !== null || folder.value() !== "") && bad.images.length > 0;
    clash.textContent = isMixed ? `Known defects go with ${many} alone, not with an archive or a folder of the server: drop the normal ${many} themselves, or start again without the defects.` : "";
    start.disabled = isMixed || good.problems.length + bad.problems.length > 0 || hasImages === (folder.value() !== ""); // one of the two
  }

  async function submit() {
    const [good, bad] = [normals.chosen(), anomalies.chosen()];
    const query = {
      method: "conformal", target: rate.value(), by_group: byGroup.checked || null,
      review_target: review.checked ? reviewRate.value / 100 : null, group_from: good.byFolder || folder.value() ? "folder" : null,
      folder: folder.value(),
    };
    const asked = tip.calibration_images > 0 ? await ask(question(tip, samples)) : { reason: "" };
    if (!asked) return;
    const chosen = { ...good, size: good.size + bad.size };
    const job = await wire.send({
      at: path`/v1/detectors/${tip.name}/calibrate`, query: { ...query, ...asked }, chosen: query.folder ? null : chosen, anomalies: bad.images,
      identity: [query, asked, chosen.size, chosen.mask, [...good.images, ...bad.images].map((each) => each.name), good.archive?.name],
    });
    if (job) onJob(job);
  }

  const more = h("details", {},
    h("summary", {}, "Known defects, groups and a band for review"),
    h("div", { class: "stack" },
      anomalies.node,
      check("A line for every group", byGroup, `Each lot, session or camera is judged by its own ${many}. Every group needs enough of them.`),
      check(`A band of uncertain ${many}`, review, `${capital(many)} just below the line are not flagged, but kept for a person to see.`),
      band,
      h("p", { class: "muted small" }, "Other ways to draw the line are on the Threshold page, once it is calibrated.")));
  return h("form", { class: "stack", on: { submit: (event) => { event.preventDefault(); busy(start, submit); } } },
    normals.node,
    folder.node,
    rate.node,
    more,
    clash, wire.node,
    h("div", { class: "row" }, start));
}

function question(tip, { many }) {
  return {
    title: `Calibrate ${tip.name} anew?`,
    text: `The line is drawn by these ${many} alone, in a new version; the ${count(tip.calibration_images)} ${many} of the calibration before no longer count. The versions before stay, and can be put back.`,
    action: "Calibrate",
  };
}
