// The scores and the line in service, another line that is tried, and what it would do, live.

import { path, pause, post } from "../../api.js";
import { h } from "../../dom.js";
import { can } from "../../session.js";
import { applying } from "./apply.js";
import { controls } from "./controls.js";
import { outcome } from "./outcome.js";
import { pictureOf } from "./picture.js";
import { pointsTable } from "./points.js";
import { STOPS } from "./rates.js";

const DELAY_S = 0.15;
const NOWHERE = { value: null, review: null };

/** Return {element, wanted()}: `wanted()` is the line that is tried just now, as the API is asked for it. */
export function editor(about) {
  const { name, shown, version, allowStale, scores, signal } = about;
  let points = [];
  let looking = new AbortController();

  const form = controls(shown.threshold, shown.groups > 0, changed);
  const picture = pictureOf(scores, shown.threshold, shown.version === shown.in_service ? "in service" : `of version ${shown.version}`, form.byHand);
  const told = outcome(name, form.byRate);
  const apply = can("admin") ? applying(about) : null;
  const table = h("section", { class: "card", aria: { label: "Table of rates" } });

  const preview = (asked, stop) => post(path`/v1/detectors/${name}/threshold/preview`, { json: { ...asked, version, allow_stale: allowStale }, signal: stop });

  function changed() {
    looking.abort();
    looking = new AbortController();
    const line = form.line();
    apply?.withhold();
    if (line === null) {
      picture.propose(NOWHERE);
      told.incomplete();
      return;
    }
    // What is known already is shown at once; what follows from it is asked for when the hand rests.
    const value = line.method === "manual" ? line.value : pointOf(line, points)?.threshold;
    if (value !== undefined) picture.propose({ value, review: null });
    told.waiting();
    look(line, AbortSignal.any([signal, looking.signal])).catch((error) => {
      if (error.name === "AbortError") return;
      picture.propose(NOWHERE);
      told.refused(error, points);
    });
  }

  async function look(line, stop) {
    await pause(DELAY_S, stop);
    const found = await preview({ threshold: line, targets: [line.target ?? STOPS[0]] }, stop);
    if (stop.aborted) return;
    picture.propose(found.proposed);
    told.show(found, pointOf(line, found.points));
    apply?.offer(line, found.proposed);
  }

  async function begin() {
    ({ points } = await preview({ targets: STOPS }, signal));
    table.replaceChildren(pointsTable(points, form.byRate));
  }

  begin().catch((error) => error.name !== "AbortError" && told.refused(error, points));
  changed();
  return {
    wanted: form.line,
    element: h("div", { class: "stack" },
      h("div", { class: "line-editor" },
        h("section", { class: "card stack", aria: { label: "Scores and line" } }, picture.element, form.element),
        h("section", { class: "card stack", aria: { label: "What the line would do" } }, told.element, apply?.element)),
      table),
  };
}

/** Return what the table says of a line: only that of the plain promise is in it. */
function pointOf(line, points) {
  if (line.method !== "conformal" || line.delta !== undefined || line.by_group) return undefined;
  return points.find((each) => each.target === line.target && each.threshold !== null);
}
