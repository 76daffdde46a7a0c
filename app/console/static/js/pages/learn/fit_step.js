// Step one: show the detector what normal looks like.

import { path } from "../../api.js";
import { h } from "../../dom.js";
import { counted } from "../../format.js";
import { ask } from "../../parts/dialog.js";
import { radios } from "../../parts/field.js";
import { busy } from "../../parts/messages.js";
import { imageChooser } from "./image_chooser.js";
import { sending } from "./sending.js";
import { serverFolder } from "./server_folder.js";
import { step } from "./step.js";

/**
 * @param {Object} tip the detector at its latest version, which a fit builds on.
 * @param {{limits: Object, samples: Object, signal: AbortSignal, onJob: (job: Object) => void}} what
 */
export function fitStep(tip, { limits, samples, signal, onJob }) {
  const isFitted = tip.fitted_images > 0;
  const wire = sending(signal);
  const start = h("button", { type: "submit", class: "primary", disabled: true }, "Fit");
  const folder = serverFolder(check, samples.many);
  const chooser = imageChooser({
    title: `Drop normal ${samples.many} here`, region: tip.mask === "request", limits, samples, signal, onChange: check,
    hint: `A folder, ${samples.inWords}. A few dozen are a beginning; some hundreds are better.`,
  });
  const mode = isFitted ? modes(samples) : null;

  function check() {
    const { images: all, archive, problems } = chooser.chosen();
    const hasImages = all.length > 0 || archive !== null;
    start.disabled = problems.length > 0 || hasImages === (folder.value() !== ""); // one of the two
  }

  async function submit() {
    const chosen = chooser.chosen();
    const query = { mode: mode?.chosen() ?? "replace", folder: folder.value(), group_from: chosen.byFolder || folder.value() ? "folder" : null };
    const asked = isFitted ? await ask(question(query.mode, tip, samples)) : { reason: "" };
    if (!asked) return;
    const job = await wire.send({
      at: path`/v1/detectors/${tip.name}/fit`, query: { ...query, ...asked }, chosen: query.folder ? null : chosen,
      identity: [query, asked, chosen.size, chosen.mask, chosen.images.map((each) => each.name), chosen.archive?.name],
    });
    if (job) onJob(job);
  }

  const form = h("form", { class: "stack", on: { submit: (event) => { event.preventDefault(); busy(start, submit); } } },
    chooser.node,
    mode?.node,
    folder.node,
    wire.node,
    h("div", { class: "row" }, start));
  return step(1, "Fit", isFitted ? ["good", `fitted to ${counted(tip.fitted_images, samples.one)}`] : ["note", "first step"],
    samples.isImage
      ? "Show it images of good parts only, as the camera takes them. What it learns from them is what it calls normal."
      : `Show it normal ${samples.many} only, as they come in use. A network learns from them what normal is, which takes minutes.`, form);
}

function modes({ many }) {
  let chosen = "extend";
  const node = radios("What becomes of what it knows", [
    ["extend", "Add to what is known", `The new ${many} count as much as those before.`],
    ["replace", "Start anew", `Only the new ${many} count from then on.`],
  ], { name: "mode", chosen, onChange: (value) => { chosen = value; } });
  return { node, chosen: () => chosen };
}

function question(mode, tip, { many }) {
  const what = mode === "extend" ? `The ${many} are added to what it knows` : `What it knows is replaced by what these ${many} show`;
  const after = tip.calibration_images > 0 ? " The calibration will be stale then: calibrate again before the new version serves." : "";
  return {
    title: mode === "extend" ? `Extend ${tip.name}?` : `Fit ${tip.name} anew?`,
    text: `${what}, in a new version; the versions before stay, and can be put back.${after}`,
    action: mode === "extend" ? "Extend" : "Fit anew",
  };
}
