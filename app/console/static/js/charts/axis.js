// Scales from values to pixels, axes drawn with them, and a frame that draws at the width there is.

import { h, svg } from "../dom.js";
import { score } from "../format.js";

const HOUR_MS = 3600e3;
const DAY_MS = 24 * HOUR_MS;
const TIME_STEPS_MS = [
  1 / 60, 1 / 12, 1 / 4, 1 / 2, 1, 3, 6, 12, 24, 48, 168, 336, 720, 2160,
].map((hours) => hours * HOUR_MS);
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/**
 * Return a scale: scale(value) in pixels, scale.invert(pixels), scale.ticks(most) as values, and
 * scale.text(tick).
 */
export function linear([low, high], [start, end]) {
  return scaled([low, high], [start, end], (most) => {
    const step = niceStep(high / most - low / most);
    const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)];
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  }, (tick) => score(tick, 6));
}

/** Return a scale of moments in milliseconds, with ticks at round hours and days of the reader's zone. */
export function time([low, high], [start, end]) {
  const stepFor = (most) => TIME_STEPS_MS.find((each) => (high - low) / each <= most) ?? (high - low) / most;
  return scaled([low, high], [start, end], (most) => {
    const step = stepFor(most);
    const zone = new Date(low).getTimezoneOffset() * 60e3; // midnight is the reader's, not Greenwich's
    const first = Math.ceil((low - zone) / step) * step + zone;
    return Array.from({ length: Math.max(0, Math.floor((high - first) / step) + 1) }, (_, i) => first + i * step);
  }, (tick) => {
    const moment = new Date(tick);
    const isMidnight = moment.getHours() === 0 && moment.getMinutes() === 0;
    return isMidnight || high - low > 8 * DAY_MS ? DATE.format(moment) : CLOCK.format(moment);
  });
}

/** Return the line below a drawing with its ticks; `label` says what and in which unit. */
export function bottomAxis(scale, { y, label = "", most = 6 }) {
  const [start, end] = scale.range;
  return svg("g", {},
    svg("line", { class: "axis", x1: start, x2: end, y1: y, y2: y }),
    scale.ticks(most).map((tick) => [
      svg("line", { class: "axis", x1: scale(tick), x2: scale(tick), y1: y, y2: y + 5 }),
      svg("text", { x: scale(tick), y: y + 18, "text-anchor": "middle" }, scale.text(tick)),
    ]),
    label && svg("text", { x: (start + end) / 2, y: y + 36, "text-anchor": "middle" }, label));
}

/** Return the ticks left of a drawing, and a faint line for each across it up to `to`. */
export function leftAxis(scale, { x, to = x, label = "", most = 4, text = scale.text }) {
  const [start, end] = scale.range;
  const middle = (start + end) / 2;
  return svg("g", {},
    scale.ticks(most).map((tick) => [
      svg("line", { class: "grid", x1: x, x2: to, y1: scale(tick), y2: scale(tick) }),
      svg("text", { x: x - 6, y: scale(tick) + 4, "text-anchor": "end" }, text(tick)),
    ]),
    label && svg("text", { x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, label));
}

/**
 * Return a place for a drawing, which is drawn at the width it has and again when that changes: letters
 * are as large on a narrow page as on a wide one.
 * @param {(width: number) => Element} draw
 */
export function framed(draw) {
  const place = h("div", { class: "frame" });
  let drawn = 0;
  let waiting = 0;
  new ResizeObserver(([{ contentRect }]) => {
    const width = Math.floor(contentRect.width);
    if (width === 0 || width === drawn) return;
    cancelAnimationFrame(waiting);
    // Not at once: what is drawn changes the height, which would be observed again in the same turn.
    waiting = requestAnimationFrame(() => {
      drawn = width;
      place.replaceChildren(draw(width));
    });
  }).observe(place);
  return place;
}

function scaled([low, high], [start, end], ticks, text) {
  const span = high / 2 - low / 2 || 1; // halves, for the range of all numbers is none itself
  const scale = (value) => start + ((value / 2 - low / 2) / span) * (end - start);
  scale.invert = (px) => low + 2 * span * ((px - start) / (end - start));
  return Object.assign(scale, { domain: [low, high], range: [start, end], ticks, text });
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  return power * ([1, 2, 5].find((each) => each * power >= rough * (1 - 1e-9)) ?? 10);
}
