// What would have been flagged: the past, judged again by another line or version.

import { get, path, post } from "../../api.js";
import { h } from "../../dom.js";
import { choice, field } from "../../parts/field.js";
import { concluded } from "../../parts/job.js";
import { busy } from "../../parts/messages.js";
import { replayed } from "./replayed.js";

const HOUR_MS = 3600e3;
const PERIODS = [["24", "The last 24 hours"], ["168", "The last 7 days"], ["720", "The last 30 days"], ["all", "Everything that is kept"], ["between", "Between two moments"]];

/**
 * Return the section.
 * @param {() => Object|null} wanted gives the line that is tried above.
 */
export function whatIf({ name, shown, signal }, detector, wanted) {
  const told = h("div", { aria: { live: "polite" } });
  const line = choice([["proposed", "The line proposed above"], ["own", "The version's own line"]], "proposed");
  const version = choice([[detector.in_service, `Version ${detector.in_service}, in service`]], detector.in_service);
  const period = choice(PERIODS, "168");
  const [since, until] = [h("input", { type: "datetime-local" }), h("input", { type: "datetime-local" })];
  const between = h("div", { class: "columns", hidden: true }, field("From", since), field("Until", until));
  const run = h("button", { type: "submit", class: "primary" }, "Judge the past again");
  period.addEventListener("change", () => (between.hidden = period.value !== "between"));
  offerVersions(version, { name, shown, detector, signal });

  function asked() {
    const body = { version: Number(version.value) };
    if (line.value === "proposed") {
      body.threshold = wanted();
      if (body.threshold === null) throw new Error("The line proposed above lacks a number. Give it, or take the version's own line.");
    }
    if (period.value === "between") return { ...body, since: moment(since), until: moment(until) };
    return period.value === "all" ? body : { ...body, since: new Date(Date.now() - HOUR_MS * Number(period.value)).toISOString() };
  }

  async function replay() {
    const job = await post(path`/v1/detectors/${name}/replay`, { json: asked(), signal });
    await concluded(job, { place: told, signal, shown: (result) => replayed(name, result) });
  }

  return h("section", { class: "card stack", aria: { labelledby: "what-if" } },
    h("h2", { id: "what-if" }, "What if it had been so all along"),
    h("p", { class: "muted" }, "Images that were scored are judged again, from the numbers kept of them. Nothing is changed by it."),
    h("form", { class: "stack", on: { submit: (event) => { event.preventDefault(); busy(run, replay); } } },
      h("div", { class: "columns" }, field("Judged by", line), field("Version", version), field("Images of", period)),
      between,
      h("div", { class: "row" }, run)),
    told);
}

/** Offer all versions, and choose the one whose line is drawn above. */
async function offerVersions(select, { name, shown, detector, signal }) {
  // The version in service does meanwhile, and if the others cannot be told.
  const { versions } = await get(path`/v1/detectors/${name}/versions`, { signal }).catch(() => ({ versions: [] }));
  versions.filter((each) => each.fitted_images > 0 && each.version !== detector.in_service).toReversed().forEach((each) =>
    select.append(h("option", { value: each.version }, `Version ${each.version}${each.stale ? ", stale" : each.state === "fitted" ? ", not calibrated" : ""}`)));
  if (versions.length > 0) select.value = shown.version;
}

const moment = (input) => (input.value ? new Date(input.value).toISOString() : null);
