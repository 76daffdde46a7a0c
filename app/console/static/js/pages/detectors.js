// All detectors as cards: what needs somebody first, then by name.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { count, counted } from "../format.js";
import { field, choice } from "../parts/field.js";
import { keepingFocus } from "../parts/focus.js";
import { tell } from "../parts/live.js";
import { every } from "../parts/polling.js";
import { box, empty } from "../parts/states.js";
import { can } from "../session.js";
import { card, standing, STANDINGS } from "./detectors/card.js";

const EVERY_S = 15;
const FILTERED_FROM = 9;

export async function detectors({ signal }) {
  const state = { name: "", standing: "", found: await looked(signal), failed: "" };
  const create = () => can("fit") && h("a", { class: "button primary", href: "#/new" }, "New detector");
  const head = h("div", { class: "head" }, h("h1", {}, "Detectors"));
  const place = h("div", { class: "stack" });
  const trouble = h("div", { role: "status" });
  const list = h("ul", { class: "cards" });
  const shown = h("p", { class: "muted", role: "status" });
  let search = null;

  /** Show what was found; who was on a link of a card stays on it. */
  function draw() {
    if (state.found.length === 0) {
      while (head.childNodes.length > 1) head.lastChild.remove();
      return fill(place, empty("No detectors yet", "A detector learns what normal images of one thing look like, and then tells how far a new one is from them.", create()));
    }
    keepingFocus(list, () => fill(list, state.found.map(card)));
    filter();
    // The first detector, and as many as want filters, may have been made elsewhere since.
    if (head.childNodes.length === 1 && can("fit")) head.append(create());
    search ??= filters(state, filter);
    if (list.parentNode !== place) fill(place, summary(state), search, shown, list);
    else place.firstChild.replaceWith(summary(state));
    if (search && !search.isConnected) place.firstChild.after(search);
    return place;
  }

  function filter() {
    const part = state.name.trim().toLowerCase();
    let left = 0;
    state.found.forEach((each, i) => {
      const fits = each.name.toLowerCase().includes(part) && (!state.standing || standing(each).includes(state.standing));
      list.children[i].hidden = !fits;
      left += fits ? 1 : 0;
    });
    const total = state.found.length;
    const isFiltered = part !== "" || state.standing !== "";
    tell(shown, isFiltered && (left === 0 ? "No detector is like that: change the filter." : `${count(left)} of ${counted(total, "detector")}`));
  }

  draw();
  const again = async () => {
    state.found = await looked(signal);
    fill(trouble);
    draw();
  };
  const told = (error) => tell(trouble, box("warn", [`${error.message} What is shown is older.`]));
  every(() => EVERY_S, again, signal, told);
  return h("div", {}, head, trouble, place);
}

/** Return the detectors with their traffic, those with an alarm first. */
async function looked(signal) {
  const [{ detectors: found }, { detectors: traffic }] = await Promise.all([get("/v1/detectors", { signal }), get("/v1/traffic", { query: { hours: 24 }, signal })]);
  const counted = new Map(traffic.map((each) => [each.detector, each]));
  const all = found.map((detector) => ({ ...detector, traffic: counted.get(detector.name) ?? null }));
  const isAlarm = (each) => each.traffic?.drift === "alarm";
  return all.toSorted((a, b) => isAlarm(b) - isAlarm(a) || (a.name < b.name ? -1 : 1));
}

function summary({ found }) {
  const sum = (of) => found.reduce((total, each) => total + (each.traffic ? of(each.traffic) : 0), 0);
  const alarms = sum((traffic) => traffic.drift === "alarm");
  const review = sum((traffic) => traffic.to_review);
  return h("p", { class: "muted" }, [
    counted(found.length, "detector"),
    `${counted(sum((traffic) => traffic.images), "image")} in the last 24 h`,
    review > 0 && `${count(review)} to review`,
    alarms > 0 && `${counted(alarms, "drift alarm")}`,
  ].filter(Boolean).join(" · "));
}

function filters(state, filter) {
  if (state.found.length < FILTERED_FROM) return null;
  const name = h("input", { type: "search", autocomplete: "off", spellcheck: false, value: state.name, on: { input: () => { state.name = name.value; filter(); } } });
  const chosen = choice([["", "Any"], ...STANDINGS], state.standing, { on: { change: () => { state.standing = chosen.value; filter(); } } });
  return h("div", { class: "row filters", role: "search" }, field("Name contains", name), field("State", chosen));
}
