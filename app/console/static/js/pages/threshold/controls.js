// How a line is drawn: by a false-alarm rate, by hand, or by another method with its parameters.

import { fill, h } from "../../dom.js";
import { score } from "../../format.js";
import { check, choice, field } from "../../parts/field.js";
import { percentBox, rateSlider } from "./rates.js";

const DEFAULT_RATE = 0.05;

/** What each method is, and which fields it has; `isRated` ones have the slider. */
export const METHODS = {
  conformal: { title: "A promised false-alarm rate (split conformal)", about: "Keeps its promise whatever the scores look like, as long as new normal images are like those of the calibration.", isRated: true, hasGroups: true, fields: ["delta"] },
  quantile: { title: "The quantile that other tools use", about: "Promises nothing: a little more than the rate is flagged.", isRated: true, hasGroups: true, fields: [] },
  evt: { title: "Extreme values: rates below what the images can show", about: "Promises nothing: a tail is fitted to the highest scores, and continued.", isRated: true, fields: ["tail"] },
  chi2: { title: "A chi-square law fitted to the scores", about: "Promises nothing: it tells whether such a law fits.", isRated: true, fields: [] },
  ksigma: { title: "Standard deviations above the mean", about: "Promises nothing: what lies above is counted.", fields: ["k"] },
  f1: { title: "The best F1 on the known anomalies", about: "Promises nothing: it is best on the images given.", fields: [] },
  cost: { title: "The least cost, by what mistakes cost", about: "Promises nothing: it is least on the images given.", fields: ["miss", "false_alarm", "prevalence"] },
  manual: { title: "By hand: a score", about: "Promises nothing.", fields: ["value"] },
};

const FIELDS = {
  delta: { label: "Chance that this very calibration misses the rate, in %", hint: "Empty: the rate holds on average over calibrations. With 5, it holds for this one with a probability of 95 %.", isRate: true },
  tail: { label: "Share of the highest scores that makes the tail, in %", isRate: true, standard: 0.1 },
  k: { label: "Standard deviations", standard: 3 },
  miss: { label: "Cost of a missed anomaly", hint: "In any unit, the same for both.", standard: 10 },
  false_alarm: { label: "Cost of a false alarm", standard: 1 },
  prevalence: { label: "Expected share of anomalies, in %", isRate: true, standard: 0.01 },
  value: { label: "Score above which an image is flagged" },
};

/**
 * Return {element, line(), byRate(rate), byHand(value)}: `line()` is what the API is asked for, null while
 * a box holds no number; `onChange` hears of every change.
 * @param {Object|null} now the threshold that is in service, from which it begins.
 */
export function controls(now, hasGroups, onChange) {
  const given = now?.parameters ?? {};
  const method = choice(Object.entries(METHODS).map(([name, each]) => [name, each.title]), now?.method ?? "conformal");
  const rate = rateSlider(given.target ?? DEFAULT_RATE, onChange);
  const boxes = Object.fromEntries(Object.entries(FIELDS).map(([name, each]) => [name, fieldOf(each, given[name] ?? each.standard, onChange)]));
  const byGroup = h("input", { checked: Object.keys(now?.by_group ?? {}).length > 0, on: { change: changed } });
  const review = h("input", { checked: Boolean(now?.review_target), on: { change: changed } });
  const reviewRate = percentBox(now?.review_target ?? 2 * DEFAULT_RATE, { on: { input: onChange } });
  const chosen = h("div", {});
  const others = h("div", { class: "columns" });
  const about = h("p", { class: "muted small" });
  const groupCheck = check("A line for every group", byGroup, "Lots, sessions or cameras that differ each keep the promise by themselves.");
  const reviewField = field("Review from this rate on, in %", reviewRate.input, "Above the rate of false alarms: so many are flagged or to be looked at, at most.");
  const reviewCheck = check("A band for review", review, "Images just below the line are uncertain: for a person to look at.");
  const more = h("details", { open: method.value !== "conformal" },
    h("summary", {}, "More ways to draw the line"),
    h("div", { class: "stack" }, field("Method", method), about, others, hasGroups && groupCheck, reviewCheck, reviewField));
  const back = h("button", { type: "button", on: { click: () => choose("conformal") } }, "Back to a false-alarm rate");
  method.addEventListener("change", changed);

  function changed() {
    arrange();
    onChange();
  }

  function arrange() {
    const { isRated, hasGroups: canGroup, fields, about: text } = METHODS[method.value];
    const isByHand = method.value === "manual";
    fill(chosen, isRated ? rate.element : isByHand && h("div", { class: "inline-form" }, boxes.value.element, back));
    chosen.hidden = !isRated && !isByHand;
    fill(about, text);
    fill(others, fields.filter((each) => each !== "value").map((each) => boxes[each].element));
    groupCheck.hidden = !canGroup;
    // A band has one edge: there is none beside lines by group.
    reviewCheck.hidden = isGrouped();
    reviewField.hidden = isGrouped() || !review.checked;
  }

  const isGrouped = () => hasGroups && byGroup.checked && Boolean(METHODS[method.value].hasGroups);

  function choose(name) {
    if (method.value !== name) {
      method.value = name;
      arrange();
    }
    onChange();
  }

  function line() {
    const { isRated, fields } = METHODS[method.value];
    const asked = { method: method.value, ...(isRated ? { target: rate.rate() } : {}) };
    for (const each of fields) {
      const value = boxes[each].value();
      if (value !== null || each !== "delta") asked[each] = value;
    }
    if (isGrouped()) asked.by_group = true;
    else if (review.checked) asked.review_target = reviewRate.rate();
    return Object.values(asked).some((each) => each === null || Number.isNaN(each)) ? null : asked;
  }

  arrange();
  return {
    element: h("div", { class: "stack" }, chosen, more),
    line,
    byRate(to) {
      rate.set(to);
      choose("conformal");
    },
    byHand(value) {
      boxes.value.set(value);
      choose("manual");
    },
  };
}

function fieldOf({ label, hint = "", isRate = false }, value, onChange) {
  if (isRate) {
    const number = percentBox(value ?? null, { on: { input: onChange } });
    return { element: field(label, number.input, hint), value: number.rate };
  }
  const input = h("input", { type: "number", step: "any", inputMode: "decimal", value: value ?? "", on: { input: onChange } });
  return {
    element: field(label, input, hint),
    value: () => (input.value === "" ? null : input.valueAsNumber),
    set: (to) => (input.value = score(to, 5)),
  };
}
