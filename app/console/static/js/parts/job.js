// A job while it runs: how far it is, told by the service's events, and a way to cancel it.

import { path, pause, remove } from "../api.js";
import { fill, h } from "../dom.js";
import { events } from "../events.js";
import { count, counted, duration, plural, score } from "../format.js";
import { can } from "../session.js";
import { ask } from "./dialog.js";
import { busy } from "./messages.js";
import { box, failure } from "./states.js";

const AGAIN_S = 1;
const KINDS = {
  "fit": "Fit", "extend": "Extend the fit", "forget": "Forget images", "calibrate": "Calibrate",
  "replay": "Replay of history", "drift-replay": "Replay of drift", "adapt": "Adapt the gates",
};

export const kindOf = (job) => KINDS[job.kind] ?? job.kind;
export const hasEnded = (job) => ["succeeded", "failed", "cancelled"].includes(job.state);

/** Return the state of a job as [kind of badge, word]. */
export function stateOf(job) {
  if (job.cancel_requested && !hasEnded(job)) return ["warn", "being cancelled"];
  return {
    queued: ["note", "waiting"], running: ["note", "running"], succeeded: ["good", "done"],
    failed: ["bad", "failed"], cancelled: ["", "cancelled"],
  }[job.state] ?? ["", job.state];
}

/**
 * Return a card that follows a job until its end.
 * @param {Object} job as the service gave it.
 * @param {{signal: AbortSignal, onEnd: (job: Object) => void, onLost?: () => void, unit?: string}} what
 *   `onEnd` gets the ended job, its result included; `onLost` is called when the job can no longer be
 *   followed; `unit` is what its progress counts.
 */
export function follow(job, { signal, onEnd, onLost = () => {}, unit = "image" }) {
  const bar = h("progress", { aria: { label: `${kindOf(job)} of ${job.detector}` } });
  const far = h("span", {});
  const pace = h("span", { class: "muted" });
  const state = h("span", { role: "status" });
  const trouble = h("div", { role: "alert" });
  const stop = can("fit") && h("button", { type: "button" }, "Cancel");
  if (stop) stop.addEventListener("click", () => cancelled(stop, job, draw));

  function draw(now) {
    if (now.images > 0) {
      bar.max = now.images;
      bar.value = now.images_done;
    } else {
      bar.removeAttribute("value");
    }
    fill(far, now.images > 0 ? `${count(now.images_done)} of ${counted(now.images, unit)}` : "");
    fill(pace, paceOf(now, unit));
    const [, word] = stateOf(now);
    if (state.textContent !== word) fill(state, word); // read out when it changes only
    if (stop) stop.disabled = now.cancel_requested || hasEnded(now);
  }

  async function watch() {
    fill(trouble);
    try {
      let last = null;
      for (;;) {
        for await (const now of events(path`/v1/jobs/${job.id}/events`, signal)) {
          last = now;
          draw(now);
        }
        if (last && hasEnded(last)) break;
        await pause(AGAIN_S, signal); // a proxy or a stopping service has closed the stream, not the job
      }
      onEnd(last);
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(trouble, box("bad", [error.message]), h("button", { type: "button", on: { click: watch } }, "Follow it again"));
      onLost();
    }
  }

  draw(job);
  watch();
  return h("section", { class: "card stack job", aria: { label: `Job: ${kindOf(job)}` } },
    h("div", { class: "row spread" }, h("h2", {}, kindOf(job)), h("span", { class: "badge note" }, state)),
    bar,
    h("div", { class: "row spread" }, h("div", { class: "row" }, far, pace), stop),
    trouble,
    h("p", { class: "muted small" }, "The job runs in the service: this page may be left or closed."));
}

/**
 * Show a job in a place until its end, and then what came of it, which `shown` makes of the result.
 * @return {Promise} settled at the job's end, when it can no longer be followed, or when the page is left.
 */
export function concluded(job, { place, signal, shown }) {
  return new Promise((resolve) => {
    const onEnd = ({ state, result, problem }) => {
      if (state === "succeeded") fill(place, shown(result));
      else if (state === "failed") fill(place, failure({ title: problem?.title, message: problem?.detail }));
      else fill(place, h("p", { class: "muted" }, "Cancelled. Nothing was changed."));
      resolve();
    };
    fill(place, follow(job, { signal, onEnd, onLost: resolve }));
    signal.addEventListener("abort", resolve);
  });
}

/** Ask, and cancel a job; `onDone` gets it as it is then. */
export async function cancelled(button, job, onDone) {
  const asked = await ask({
    title: `Cancel: ${kindOf(job).toLowerCase()} of ${job.detector}?`,
    text: "What it has done is dropped, and no version is made. What serves now goes on serving.",
    action: "Cancel the job", danger: true,
  });
  if (!asked) return;
  const now = await busy(button, () => remove(path`/v1/jobs/${job.id}`, { query: asked }));
  if (now) onDone(now);
}

function paceOf(job, unit) {
  const pace = [];
  if (job.images_per_second) pace.push(`${score(job.images_per_second, 2)} ${plural(unit)} a second`);
  if (job.seconds_left !== null && job.seconds_left !== undefined) pace.push(`about ${duration(job.seconds_left)} left`);
  return pace.join(", ");
}
