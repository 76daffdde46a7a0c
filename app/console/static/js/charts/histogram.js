// Scores of normal images as bars, known anomalies below them, and the lines that part them.

import { svg } from "../dom.js";
import { count, score } from "../format.js";
import { bottomAxis, leftAxis, linear } from "./axis.js";

const LEFT = 48;
const RIGHT = 12;
const TOP = 58; // a row for what it is, and two of words above the lines
const GAP = 26; // between the parts, with the lower one's name
const BARS = 60; // at most: counts of neighbours are added up
const HANDLE_PX = 24;
const WORD_PX = 130; // the longest there is beside a line

/**
 * Draw a histogram, and return {element, propose}: `propose({value, review})` moves the proposed line
 * and the edge of the band for review without drawing the rest again; null takes them away.
 * @param {{width: number, label: string, edges: number[], normal: number[], anomalous: number[],
 *   range: [number, number], serving: number|null, servingWord?: string, groups?: number[], onDrag?: (value: number) => void}} what
 *   `range` is the part of the scores that is shown; `onDrag` hears where the proposed line is drawn to.
 */
export function histogram({ width, label, edges, normal, anomalous, range, serving, servingWord = "in service", groups = [], onDrag }) {
  const hasAnomalies = anomalous.some((each) => each > 0);
  const middle = TOP + 190;
  const bottom = hasAnomalies ? middle + GAP + 80 : middle;
  const x = linear(range, [LEFT, width - RIGHT]);
  const now = line(x, "threshold", TOP - 8, bottom, 50, servingWord);
  const element = svg("svg", { class: "chart", role: "img", "aria-label": label, width, height: bottom + 44, viewBox: `0 0 ${width} ${bottom + 44}` },
    hatch(),
    svg("text", { class: "title", x: LEFT, y: 12 }, "Normal images of the calibration"),
    bars("normal", x, edges, normal, [middle, TOP]),
    hasAnomalies && svg("text", { class: "title", x: LEFT, y: middle + 18 }, "Known anomalies"),
    hasAnomalies && bars("anomalous", x, edges, anomalous, [bottom, middle + GAP]),
    svg("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: middle, y2: middle }),
    bottomAxis(x, { y: bottom, label: "Score (higher: less like normal)", most: Math.max(2, Math.floor(width / 70)) }),
    groups.map((value) => inside(x, value) && svg("line", { class: "group-line", x1: x(value), x2: x(value), y1: TOP, y2: bottom })),
    now.element);
  const band = svg("rect", { class: "review", y: TOP, height: bottom - TOP, hidden: "" });
  const proposed = line(x, "proposed", TOP - 24, bottom, 34, "proposed");
  const handle = svg("rect", { class: "handle", y: 0, width: HANDLE_PX, height: bottom });
  element.append(band, proposed.element);
  if (onDrag) {
    element.append(handle);
    draggable(element, handle, x, width, onDrag);
  }
  return {
    element,
    propose({ value, review }) {
      const isAbove = value !== null && value >= (serving ?? -Infinity);
      proposed.at(value, isAbove); // each word on its own side, as far as there is room
      now.at(serving, !isAbove);
      handle.setAttribute("x", clamped(x, value ?? range[1]) - HANDLE_PX / 2);
      const [from, to] = [review ?? value, value].map((each) => clamped(x, each ?? range[1]));
      band.setAttribute("x", from);
      band.setAttribute("width", Math.max(0, to - from));
      band.toggleAttribute("hidden", review === null);
    },
  };
}

function bars(kind, x, edges, counts, range) {
  const shown = merged(edges, counts, x.domain);
  const y = linear([0, Math.max(1, ...shown.map((each) => each.count))], range);
  return svg("g", {},
    leftAxis(y, { x: LEFT, to: x.range[1], most: range[0] - range[1] > 100 ? 4 : 2, text: (tick) => (Number.isInteger(tick) ? count(tick) : "") }),
    shown.map(({ from, to, count: images }) => images > 0 && svg("rect", {
      class: kind,
      x: x(from) + 0.5,
      width: Math.max(1, x(to) - x(from) - 1),
      y: y(images),
      height: range[0] - y(images),
    }, svg("title", {}, `${count(images)} between ${score(from)} and ${score(to)}`))));
}

/** Return the bins that are shown, neighbours together where there are too many to see. */
function merged(edges, counts, [low, high]) {
  const first = Math.max(0, edges.findLastIndex((edge) => edge <= low));
  const end = edges.findIndex((edge) => edge >= high);
  const last = end < 0 ? counts.length : end;
  const step = Math.max(1, Math.ceil((last - first) / BARS));
  const found = [];
  for (let i = first; i < last; i += step) {
    const to = Math.min(i + step, last);
    const images = counts.slice(i, to).reduce((sum, each) => sum + each, 0);
    found.push({ from: edges[i], to: edges[to], count: images });
  }
  return found;
}

function line(x, kind, y1, y2, textY, word) {
  const drawn = svg("line", { class: kind, y1, y2 });
  const text = svg("text", { class: `word ${kind}`, y: textY });
  const element = svg("g", {}, drawn, text);
  return {
    element,
    at(value, isRight) {
      element.toggleAttribute("hidden", value === null);
      if (value === null) return;
      const place = clamped(x, value);
      const isAfter = isRight ? x.range[1] - place > WORD_PX : place - x.range[0] < WORD_PX;
      drawn.setAttribute("x1", place);
      drawn.setAttribute("x2", place);
      text.setAttribute("x", place + (isAfter ? 5 : -5));
      text.setAttribute("text-anchor", isAfter ? "start" : "end");
      text.textContent = `${word} ${score(value)}${inside(x, value) ? "" : " (outside)"}`;
    },
  };
}

function draggable(element, handle, x, width, onDrag) {
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = element.getBoundingClientRect();
    const place = ((event.clientX - box.left) * width) / box.width;
    onDrag(x.invert(Math.min(Math.max(place, x.range[0]), x.range[1])));
  });
}

function hatch() {
  return svg("defs", {},
    svg("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("rect", { class: "hatch-ground", width: 6, height: 6 }),
      svg("line", { class: "hatch-line", x1: 0, x2: 0, y1: 0, y2: 6 })));
}

const inside = (x, value) => value >= x.domain[0] && value <= x.domain[1];

const clamped = (x, value) => x(Math.min(Math.max(value, x.domain[0]), x.domain[1]));
