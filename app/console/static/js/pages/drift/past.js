// The past watched again: which alarms there would have been under another promise.

import { post } from "../../api.js";
import { h } from "../../dom.js";
import { count, moment, score } from "../../format.js";
import { field } from "../../parts/field.js";
import { concluded } from "../../parts/job.js";
import { busy } from "../../parts/messages.js";
import { box } from "../../parts/states.js";
import { table } from "../../parts/table.js";
import { imageLink } from "./evidence.js";
import { watched } from "./words.js";

export function past(at, signal) {
  const promise = h("input", { type: "number", min: 2, max: 1e12, step: 1 });
  const since = h("input", { type: "datetime-local" });
  const place = h("div", { class: "stack", aria: { live: "polite" } });
  const button = h("button", { type: "submit" }, "Watch again");
  const form = h("form", {
    class: "inline-form",
    on: {
      submit: (event) => {
        event.preventDefault();
        const json = {
          ...(promise.value && { promise_images: Number(promise.value) }),
          ...(since.value && { since: new Date(since.value).toISOString() }),
        };
        return busy(button, () => replayed(at, json, place, signal));
      },
    },
  },
  field("One false alarm in how many images", promise, "Empty: as it is set now."),
  field("Since", since, "Empty: all that is kept."),
  button);
  return h("section", { class: "card stack", aria: { label: "What would have been" } },
    h("h2", {}, "What would have been"),
    h("p", {}, "Goes through what was scored and lists the alarms there would have been, each acknowledged at once. Windows are not gone through again. Nothing is changed."),
    form, place);
}

async function replayed(at, json, place, signal) {
  const job = await post(`${at}/replay`, { json, signal });
  await concluded(job, { place, signal, shown: found });
}

function found(told) {
  return [
    h("p", {}, h("strong", {}, told.summary)),
    box("note", told.reasons, "To know"),
    told.alarms.length > 0 && table(told.alarm_count > told.alarms.length ? `The first ${told.alarms.length} of ${count(told.alarm_count)} alarms that there would have been` : "Alarms that there would have been", [
      { name: "When", of: (each) => moment(each.at) },
      { name: "What changed", of: (each) => watched(each.watches) },
      { name: "Image", of: (each) => h("a", { href: imageLink(told.detector, each.image) }, `number ${count(each.image_number)}`) },
      { name: "Evidence", of: (each) => `${score(each.evidence_log10, 3)} of ${score(each.threshold_log10, 3)}`, number: true },
    ], told.alarms),
    table("How near each monitor came", [
      { name: "What is watched", of: (each) => watched(each.watches) },
      { name: "Highest evidence", of: (each) => `${score(each.highest_evidence_log10, 3)} of ${score(each.threshold_log10, 3)}`, number: true },
      { name: "Alarms", of: (each) => count(each.alarms), number: true },
    ], told.monitors),
  ];
}
