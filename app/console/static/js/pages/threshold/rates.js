// False-alarm rates: the slider's stops, the box in per cent, and both as one.

import { h } from "../../dom.js";
import { score } from "../../format.js";
import { field } from "../../parts/field.js";

const DIGITS = [10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 25, 28, 30, 35, 40, 45, 50, 55, 60, 70, 80, 90];
const HIGHEST = 0.2;

/** Round rates from 20 % down to 0.1 %, near enough evenly on a logarithmic scale. */
export const STOPS = [1e-4, 1e-3, 1e-2]
  .flatMap((unit) => DIGITS.map((digits) => fraction(digits * unit, 1)))
  .filter((rate) => rate <= HIGHEST)
  .toReversed();

/** 0.005 as "0.5 %"; all digits that were given. */
export const percent = (rate) => `${score(100 * rate, 6)} %`;

/** A number of per cent (or of another part) as a fraction, without the digits of binary numbers. */
export function fraction(value, whole = 100) {
  return Number((value / whole).toPrecision(12));
}

/** Return a box for a rate in per cent; `rate()` is the fraction, null while it is empty, NaN for what is no rate. */
export function percentBox(first, properties = {}) {
  const input = h("input", {
    type: "number", min: 0, max: 100, step: "any", inputMode: "decimal", class: "percent",
    value: first === null || first === undefined ? "" : score(100 * first, 6), ...properties,
  });
  const rate = () => {
    if (input.value === "") return input.validity.badInput ? NaN : null;
    return input.valueAsNumber > 0 && input.valueAsNumber < 100 ? fraction(input.valueAsNumber) : NaN;
  };
  return { input, rate };
}

/**
 * Return a slider and a box that move together: {element, rate(), set(rate)}.
 * To the right the rate falls, as the line above goes to the right.
 */
export function rateSlider(rate, onChange) {
  const slider = h("input", { type: "range", min: 0, max: STOPS.length - 1, step: 1 });
  const number = percentBox(rate, { required: true });
  const follow = (to) => {
    slider.value = nearest(to);
    slider.setAttribute("aria-valuetext", percent(to));
  };
  slider.addEventListener("input", () => {
    const to = STOPS[slider.valueAsNumber];
    slider.setAttribute("aria-valuetext", percent(to));
    number.input.value = score(100 * to, 6);
    onChange();
  });
  number.input.addEventListener("input", () => {
    if (number.rate() > 0) follow(number.rate());
    onChange();
  });
  follow(rate);
  return {
    element: h("div", { class: "rate" },
      h("div", { class: "rate-slider" },
        field("False alarms to allow", slider),
        h("div", { class: "rate-ends muted small" }, h("span", {}, "20 %: more alarms"), h("span", {}, "0.1 %: more missed"))),
      field("In %", number.input)),
    rate: number.rate,
    set(to) {
      number.input.value = score(100 * to, 6);
      follow(to);
    },
  };
}

function nearest(rate) {
  const gaps = STOPS.map((stop) => Math.abs(Math.log(stop / rate)));
  return gaps.indexOf(Math.min(...gaps));
}
