// Whether the traffic has changed, what shows it, and what a person says to it.

import { get, pause, path } from "../api.js";
import { fill, h } from "../dom.js";
import { moment } from "../format.js";
import { every } from "../parts/polling.js";
import { box, empty } from "../parts/states.js";
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
    const learn = can("fit") && h("a", { class: "button primary", href: `#${at.replace("/v1", "").replace(/drift$/, "learn")}` }, "Fit and calibrate");
    return h("div", {}, empty("Nothing to compare with yet", error.message, learn), explained());
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
    const [held, open] = [document.activeElement?.id, opened(place)];
    fill(place, parts(told));
    for (const each of place.querySelectorAll("details")) each.open = open.includes(each.firstChild.textContent);
    if (held && place.querySelector(`#${CSS.escape(held)}`)) document.getElementById(held).focus();
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
  pause(POLL_S, signal)
    .then(() => every(POLL_S, async () => show(await get(at, { signal })), signal, (error) => fill(asOf, box("warn", [`${error.message} What is shown was known before.`]))))
    .catch(() => {}); // the page was left
  return h("div", { class: "stack" },
    spoken, place, asOf,
    can("fit") && first.state !== "disabled" && [ahead(at, signal), past(at, signal)],
    explained());
}

function opened(place) {
  return [...place.querySelectorAll("details[open]")].map((each) => each.firstChild.textContent);
}
