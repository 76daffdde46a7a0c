// The false-alarm rate that is aimed at: a slider and a box that move together.

import { h } from "../../dom.js";
import { field } from "../../parts/field.js";

const LOW = 0.1;
const HIGH = 20;
const STEPS = 200;

/**
 * Return {node, value}: `value()` is the rate as a fraction, null if what stands there is none.
 * @param {number} rate to begin with.
 * @param {string} many what it is a rate of.
 */
export function target(rate, many) {
  const number = h("input", { type: "number", min: 0.001, max: 99, step: "any", required: true, value: rounded(100 * rate), on: { input: () => { slider.value = toStep(Number(number.value)); } } });
  const slider = h("input", { type: "range", min: 0, max: STEPS, step: 1, value: toStep(100 * rate), aria: { label: "False alarms aimed at, on a slider" }, on: { input: () => move() } });

  function move() {
    number.value = rounded(LOW * (HIGH / LOW) ** (slider.value / STEPS));
    slider.setAttribute("aria-valuetext", `${number.value} %`);
  }

  slider.setAttribute("aria-valuetext", `${number.value} %`);
  return {
    node: h("div", { class: "stack tight" },
      field("False alarms aimed at, in %", number, `Of normal ${many}, how many may be flagged. 5 % needs at least 19 ${many}, 1 % at least 99, 0.1 % at least 999.`),
      slider),
    value: () => (number.validity.valid ? Number(number.value) / 100 : null),
  };
}

const rounded = (value) => Number(value.toPrecision(2));
const toStep = (percent) => Math.round(STEPS * Math.log(Math.min(HIGH, Math.max(LOW, percent || LOW)) / LOW) / Math.log(HIGH / LOW));
