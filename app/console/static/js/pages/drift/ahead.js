// How soon a change would be noticed, simulated on demand.

import { get } from "../../api.js";
import { fill, h } from "../../dom.js";
import { count, counted } from "../../format.js";
import { busy } from "../../parts/messages.js";
import { loading } from "../../parts/states.js";
import { table } from "../../parts/table.js";

export function ahead(at, signal) {
  const place = h("div", { class: "stack", aria: { live: "polite" } });
  const button = h("button", {
    type: "button",
    on: {
      click: () => busy(button, async () => {
        fill(place, loading("Simulating on the calibration images; this takes seconds"));
        try {
          fill(place, outlook(await get(`${at}/power`, { signal })));
        } catch (error) {
          fill(place);
          throw error;
        }
      }),
    },
  }, "Simulate");
  return h("section", { class: "card stack", aria: { label: "What would be noticed" } },
    h("h2", {}, "What would be noticed"),
    h("p", {}, "After how many images changes of some sizes would raise an alarm. Nothing is changed by asking."),
    h("div", {}, button), place);
}

function outlook(told) {
  return [
    table(`On ${counted(told.calibration_images, "calibration image")} of version ${told.version}`, [
      { name: "Change of scores", of: change },
      { name: "Noticed after (median)", of: (each) => (each.median_images === null ? `not within ${count(each.horizon_images)} images` : counted(each.median_images, "image")) },
      { name: "Simulations with an alarm", of: (each) => `${each.seen} of ${each.simulations}`, number: true },
    ], told.changes),
    h("p", { class: "muted small" }, told.promise),
  ];
}

function change(each) {
  const said = [];
  const shift = Math.abs(each.shift_sd);
  if (shift > 0) said.push(`${each.shift_sd > 0 ? "higher" : "lower"} by ${shift} standard deviation${shift === 1 ? "" : "s"}`);
  if (each.spread !== 1) said.push(each.spread > 1 ? `${each.spread} times as wide` : `narrower, ×${each.spread}`);
  return said.join(", ") || "none";
}
