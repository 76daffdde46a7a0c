// All jobs, newest first; while one runs, this page keeps up with it.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { ago, count, counted, duration, moment, score } from "../format.js";
import { cancelled, hasEnded, kindOf, stateOf } from "../parts/job.js";
import { choice, field } from "../parts/field.js";
import { tell } from "../parts/live.js";
import { busy } from "../parts/messages.js";
import { every } from "../parts/polling.js";
import { badge, box, empty } from "../parts/states.js";
import { table } from "../parts/table.js";
import { go, to } from "../router.js";
import { can } from "../session.js";

const RUNNING_S = 2;
const IDLE_S = 15;
const PAGE = 100;

export async function jobs({ query, signal }) {
  const head = h("div", { class: "head" }, h("h1", {}, "Jobs"));
  if (!can("fit")) return h("div", {}, head, empty("Not for this role", "Jobs fit and calibrate detectors; a key of role fit or admin sees them."));
  const of = query.get("detector") ?? "";
  const asked = (cursor = null) => get("/v1/jobs", { query: { detector: of, limit: PAGE, cursor }, signal });
  const [first, { detectors }] = await Promise.all([asked(), get("/v1/detectors", { signal })]);
  const state = { newest: first, older: [], next: first.next };
  const place = h("div", { class: "stack" });
  const trouble = h("div", { role: "status" });
  const more = h("button", { type: "button", on: { click: () => busy(more, further) } }, "Older");

  const all = () => {
    // Newer jobs push others onto the next page, which may be shown already.
    const seen = new Set(state.newest.jobs.map((job) => job.id));
    return [...state.newest.jobs, ...state.older.filter((job) => !seen.has(job.id))];
  };

  async function further() {
    const page = await asked(state.next);
    state.older.push(...page.jobs);
    state.next = page.next;
    draw();
  }

  async function again() {
    state.newest = await asked();
    if (state.older.length === 0) state.next = state.newest.next;
    fill(trouble);
    draw();
  }

  function draw() {
    const found = all();
    if (found.length === 0) {
      return fill(place, empty("No jobs yet", of ? `Nothing was fitted or calibrated as ${of}.` : "Fitting and calibrating detectors are jobs: they are listed here, running and ended.", h("a", { class: "button", href: "#/detectors" }, "To the detectors")));
    }
    const at = place.querySelector(".scroll");
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.at : undefined;
    const scrolled = at?.scrollLeft ?? 0;
    const shown = table("Jobs, newest first", columns(again, found), found);
    fill(place, shown, state.next && more);
    shown.scrollLeft = scrolled;
    if (focused) place.querySelector(`[data-at="${CSS.escape(focused)}"]`)?.focus();
    return place;
  }

  draw();
  every(
    () => (state.newest.jobs.every(hasEnded) ? IDLE_S : RUNNING_S),
    async () => document.querySelector("dialog[open]") || again(), // a question is about the row as it stands
    signal,
    (error) => tell(trouble, box("warn", [`${error.message} What is shown is older.`])));

  const names = detectors.map((each) => [each.name, each.name]);
  const known = of && !detectors.some((each) => each.name === of) ? [[of, of]] : [];
  const chosen = choice([["", "All detectors"], ...known, ...names], of, { on: { change: () => go(chosen.value ? `/jobs?${new URLSearchParams({ detector: chosen.value })}` : "/jobs") } });
  return h("div", {}, head, h("div", { class: "stack" }, names.length > 1 || of ? h("div", { class: "row" }, field("Detector", chosen)) : null, trouble, place));
}

/** Return the columns; those that would be empty are left out. */
function columns(again, found) {
  return [
    { name: "Job", of: (job) => [kindOf(job), h("div", { class: "muted small", title: moment(job.created_at) }, ago(job.created_at))] },
    { name: "Detector", of: (job) => (job.detector ? h("a", { href: to`/detectors/${job.detector}/learn`, data: { at: `link ${job.id}` } }, job.detector) : "–") },
    { name: "State", of: (job) => badge(...stateOf(job)) },
    { name: "Progress", of: progress },
    { name: "Took", number: true, of: (job) => duration(seconds(job)) },
    found.some((job) => job.problem) && { name: "What went wrong", of: (job) => (job.problem ? h("div", { class: "problem" }, h("strong", {}, job.problem.title), h("div", { class: "small" }, job.problem.detail)) : "–") },
    !found.every(hasEnded) && { name: "Action", of: (job) => (hasEnded(job) ? "–" : stop(job, again)) },
  ].filter(Boolean);
}

function stop(job, again) {
  const button = h("button", {
    type: "button", disabled: job.cancel_requested, data: { at: `stop ${job.id}` },
    aria: { label: `Cancel: ${kindOf(job).toLowerCase()} of ${job.detector}` },
    on: { click: () => cancelled(button, job, again) },
  }, "Cancel");
  return button;
}

function progress(job) {
  if (job.images === 0) return "–";
  const pace = !hasEnded(job) && job.seconds_left !== null ? `about ${duration(job.seconds_left)} left` : job.images_per_second && `${score(job.images_per_second, 2)} a second`;
  return h("div", { class: "progress" },
    !hasEnded(job) && h("progress", { max: job.images, value: job.images_done, aria: { label: `${kindOf(job)} of ${job.detector}` } }),
    h("div", {}, job.images_done === job.images ? counted(job.images, "image") : `${count(job.images_done)} of ${count(job.images)}`),
    pace && h("div", { class: "muted small" }, pace));
}

function seconds(job) {
  if (!job.started_at) return null;
  return (new Date(job.ended_at ?? Date.now()) - new Date(job.started_at)) / 1000;
}
