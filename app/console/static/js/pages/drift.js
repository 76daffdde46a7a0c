// Whether the traffic has changed, what shows it, and what a person says to it.

import { get, path } from "../api.js";
import { fill, h } from "../dom.js";
import { moment } from "../format.js";
import { keepingFocus } from "../parts/focus.js";
import { every } from "../parts/polling.js";
import { box } from "../parts/states.js";
import { unready } from "../parts/unready.js";
import { can } from "../session.js";
import { ofDetector } from "./detector.js";
import { acknowledge, rebaseline } from "./drift/actions.js";
import { ahead } from "./drift/ahead.js";
import { alarms, evidence } from "./drift/evidence.js";
import { past } from "./drift/past.js";
import { status } from "./drift/status.js";
import { windows } from "./drift/window.js";
import { explained } from "./drift/words.js";

const POLL_S = 10;
const NOTHING_TO_COMPARE = ["urn:gatewatch:problem:not-calibrated", "urn:gatewatch:problem:stale-calibration"];

export const drift = ofDetector("drift", async ({ params, signal }) => {
  const { name } = params;
  const at = path`/v1/detectors/${name}/drift`;
  let told;
  try {
    told = await get(at, { signal });
  } catch (error) {
    if (!NOTHING_TO_COMPARE.includes(error.rest?.type)) throw error;
    return h("div", {}, unready(name, "Nothing to compare with yet", error.message), explained());
  }
  return watched(at, told, signal);
});

function watched(at, first, signal) {
  const place = h("div", { class: "stack" });
  const asOf = h("div", { class: "muted small" });
  const spoken = h("p", { class: "drift-spoken", role: "status" });
  let shown = "";

  function show(told) {
    fill(asOf, `As of ${moment(new Date())}; asked again every ${POLL_S} seconds.`);
    const now = JSON.stringify(told);
    if (now === shown) return; // what is being read or pressed stays where it is
    if (shown) fill(spoken, told.summary);
    shown = now;
    const open = opened(place);
    keepingFocus(place, () => {
      fill(place, parts(told));
      for (const each of place.querySelectorAll("details")) each.open = open.includes(each.firstChild.textContent);
    });
  }

  function parts(told) {
    const one = (monitor, id) => can("admin") && acknowledge({ at, monitor, id, signal, onDone: show });
    const isLatched = told.window?.latched || told.monitors.some((each) => each.latched);
    const actions = can("admin") && told.state !== "disabled" && [
      isLatched && acknowledge({ at, monitor: null, id: "all", signal, onDone: show }),
      rebaseline({ at, told, signal, onDone: show }),
    ];
    return [status(told, actions), evidence(told, one), windows(told, one), alarms(told)];
  }

  show(first);
  const again = async () => show(await get(at, { signal }));
  every(() => POLL_S, again, signal, (error) => fill(asOf, box("warn", [`${error.message} What is shown is older.`])));
  return h("div", { class: "stack" },
    spoken, place, asOf,
    can("fit") && first.state !== "disabled" && [ahead(at, signal), past(at, signal)],
    explained());
}

function opened(place) {
  return [...place.querySelectorAll("details[open]")].map((each) => each.firstChild.textContent);
}
