// What a person says to an alarm: it was seen, or the new traffic is what is wanted.

import { post } from "../../api.js";
import { h } from "../../dom.js";
import { ask } from "../../parts/dialog.js";
import { field } from "../../parts/field.js";
import { busy, say } from "../../parts/messages.js";
import { watched } from "./words.js";

const LEAST_IMAGES = 20;
const MOST_IMAGES = 2000;

/** Return the button that ends the alarms of a monitor, null being all. */
export function acknowledge({ at, monitor, id, signal, onDone }) {
  const what = monitor === null ? "all alarms" : monitor === "input" ? "the alarms of brightness, contrast and sharpness" : `the alarm of ${watched(monitor).toLowerCase()}`;
  const button = h("button", {
    type: "button", id: `acknowledge-${id}`, class: monitor === null ? "primary" : null, aria: { label: `Acknowledge ${what}` },
    on: {
      click: async () => {
        const given = await ask({
          title: `Acknowledge ${what}?`,
          text: "It says that the cause was seen and mended. Evidence begins anew; what the traffic is compared with stays. If the change lasts, there will be another alarm.",
          action: "Acknowledge",
        });
        if (given === null) return;
        const told = await busy(button, () => post(`${at}/acknowledge`, { json: monitor === null ? {} : { monitor }, query: given, signal }));
        if (told) {
          say(monitor === null ? "All alarms are acknowledged." : "The alarm is acknowledged.");
          onDone(told);
        }
      },
    },
  }, monitor === null ? "Acknowledge all" : "Acknowledge");
  return button;
}

/** Return the button that takes the last images for normal. */
export function rebaseline({ at, told, signal, onDone }) {
  const button = h("button", {
    type: "button", id: "rebaseline",
    on: {
      click: async () => {
        const images = h("input", { type: "number", required: true, min: LEAST_IMAGES, max: MOST_IMAGES, step: 1, value: Math.min(500, Math.max(LEAST_IMAGES, told.images)) });
        const given = await ask({
          title: "Take the last images for normal?",
          text: [
            h("p", {}, "Right after a wanted change: another product, a new lamp. The traffic is compared with these images from now on, and all alarms end."),
            h("p", {}, "Wrong after an unwanted one, which it would hide: look at the images first. The threshold still belongs to the calibration images: calibrate on new ones."),
          ],
          extra: field("Last images, flagged or not", images, `${LEAST_IMAGES} to ${MOST_IMAGES}, of the version in service.`),
          action: "Set the baseline",
          danger: true,
        });
        if (given === null) return;
        const now = await busy(button, () => post(`${at}/rebaseline`, { json: { images: Number(images.value) }, query: given, signal }));
        if (now) {
          say("The baseline is set: traffic is compared with these images now.");
          onDone(now);
        }
      },
    },
  }, "Set a new baseline");
  return button;
}
