// Scores over time: a mark for each image, its form and colour by verdict, and the threshold's line.

import { fill, h, svg } from "../dom.js";
import { counted, moment, score } from "../format.js";
import { word } from "../parts/verdict.js";
import { bottomAxis, framed, leftAxis, linear, time } from "./axis.js";

const HEIGHT = 280;
const EDGES = { left: 56, right: 14, top: 14, bottom: 26 };
const LEAST_MS = 5 * 60e3;
const HIGHEST = 4; // times the threshold: what lies beyond is drawn at the upper edge
const MOST_STEPS = 20;
const NEAR_PX = 24;
const dot = (x, y) => `M${x} ${y}h.01`;
const MARKS = {
  normal: { class: "scatter-normal", form: dot },
  uncalibrated: { class: "scatter-normal", form: dot },
  uncertain: { class: "scatter-uncertain", form: (x, y) => `M${x - 3.5} ${y - 3.5}h7v7h-7z` },
  anomalous: { class: "scatter-anomalous", form: (x, y) => `M${x} ${y - 5}l5 9h-10z` },
};

/**
 * Return the drawing of some images, newest first.
 * @param {{images: Array<Object>, line: number|null, onChoose: (image: Object) => void}} what
 *   `line` is the threshold in service, drawn where the images' own change too often to be followed.
 */
export function scatter({ images, line, onChoose }) {
  const inTime = images.toReversed();
  const told = h("p", { class: "small scatter-told", role: "status" });
  const rest = () => fill(told, h("span", { class: "muted" }, "Point at a mark to see its image; click to open it."));
  let chosen = -1;
  let points = [];
  let ring = null;

  /** Mark an image; who goes by keys is told which it is, a pointer would have it read out at every move. */
  function mark(i, isByKey = false) {
    told.setAttribute("aria-live", isByKey ? "polite" : "off");
    chosen = i;
    const image = inTime[i];
    fill(told, h("strong", {}, image.name || "(no name)"), ` · ${word(image.verdict).toLowerCase()} · score ${score(image.score)} · ${moment(image.at)}`);
    if (ring) {
      ring.setAttribute("r", 8);
      ring.setAttribute("cx", points[i][0]);
      ring.setAttribute("cy", points[i][1]);
    }
  }

  function draw(width) {
    const scales = scaled(inTime, line, width);
    points = inTime.map((image) => [round(scales.x(new Date(image.at).getTime())), round(scales.y(Math.min(image.score, scales.highest)))]);
    ring = svg("circle", { class: "scatter-ring", r: 0 });
    const drawn = svg("svg", { class: "chart", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": inWords(images, line) },
      leftAxis(scales.y, { x: EDGES.left, to: width - EDGES.right, label: "Score" }),
      bottomAxis(scales.x, { y: HEIGHT - EDGES.bottom, most: Math.max(2, Math.floor(width / 110)) }),
      Object.entries(MARKS).map(([verdict, { class: kind, form }]) => svg("path", {
        class: kind,
        d: points.filter((_, i) => inTime[i].verdict === verdict).map(([x, y]) => form(x, y)).join(""),
      })),
      svg("path", { class: "threshold", fill: "none", d: lineOf(inTime, line, scales) }),
      ring);
    if (chosen >= 0) mark(chosen);
    return drawn;
  }

  function nearest(event) {
    const box = place.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = -1;
    let least = NEAR_PX ** 2;
    points.forEach(([px, py], i) => {
      const away = (px - x) ** 2 + (py - y) ** 2;
      if (away < least) [best, least] = [i, away];
    });
    return best;
  }

  const place = framed(draw);
  const steps = { ArrowLeft: (i) => i - 1, ArrowRight: (i) => i + 1, Home: () => 0, End: () => inTime.length - 1 };
  const frame = h("div", {
    class: "scatter",
    tabIndex: 0,
    role: "group",
    aria: { label: "Scores over time: the arrow keys go from image to image, Enter opens one" },
    on: {
      pointermove: (event) => {
        const i = nearest(event);
        frame.classList.toggle("near", i >= 0);
        if (i >= 0 && i !== chosen) mark(i);
      },
      click: (event) => {
        const i = nearest(event);
        if (i >= 0) onChoose(inTime[i]);
      },
      keydown: (event) => {
        if (event.key === "Enter" && chosen >= 0) onChoose(inTime[chosen]);
        if (!steps[event.key] || inTime.length === 0) return;
        event.preventDefault();
        const from = chosen < 0 ? inTime.length : chosen;
        mark(Math.min(inTime.length - 1, Math.max(0, steps[event.key](from))), true);
      },
    },
  }, place);
  rest();
  return h("div", { class: "stack tight" }, legend(inTime, limitOf(inTime, line)), frame, told);
}

/** The score above which marks are drawn at the upper edge, so that one image does not press all others down. */
function limitOf(images, line) {
  const lines = images.map(({ threshold }) => threshold).concat(line).filter((each) => each !== null);
  return lines.length > 0 && Math.max(...lines) > 0 ? HIGHEST * Math.max(...lines) : Infinity;
}

function scaled(images, line, width) {
  const moments = images.map(({ at }) => new Date(at).getTime());
  const last = Math.max(...moments);
  const first = Math.min(Math.min(...moments), last - LEAST_MS);
  const lines = images.map(({ threshold }) => threshold).concat(line).filter((each) => each !== null);
  const scores = images.map((image) => image.score);
  const highest = Math.min(limitOf(images, line), Math.max(...scores, ...lines));
  const lowest = Math.min(0, ...scores);
  return {
    highest,
    x: time([first, last], [EDGES.left + 8, width - EDGES.right - 8]),
    y: linear([lowest, highest + (highest - lowest) * 0.04], [HEIGHT - EDGES.bottom, EDGES.top]),
  };
}

/** The thresholds the images were held against, as steps; one line where groups have lines of their own. */
function lineOf(images, line, { x, y, highest }) {
  const [start, end] = x.range;
  const own = images.filter(({ threshold }) => threshold !== null);
  const changes = own.filter((image, i) => i > 0 && image.threshold !== own[i - 1].threshold);
  const level = (value) => round(y(Math.min(value, highest)));
  if (own.length === 0 || changes.length > MOST_STEPS) return line === null ? "" : `M${start} ${level(line)}H${end}`;
  const steps = changes.map((image) => `H${round(x(new Date(image.at).getTime()))}V${level(image.threshold)}`);
  return `M${start} ${level(own[0].threshold)}${steps.join("")}H${end}`;
}

function inWords(images, line) {
  const of = (verdict) => images.filter((image) => image.verdict === verdict).length;
  const scores = images.map((image) => image.score);
  const kinds = ["anomalous", "uncertain", "normal", "uncalibrated"].filter((each) => of(each)).map((each) => `${of(each)} ${word(each).toLowerCase()}`);
  return `Scores of ${images.length} images over time, from ${score(Math.min(...scores), 3)} to ${score(Math.max(...scores), 3)}: ${kinds.join(", ")}.${line === null ? "" : ` The threshold in service is ${score(line)}.`}`;
}

function legend(images, limit) {
  const beyond = images.filter((image) => image.score > limit).length;
  const item = (verdict) => h("span", { class: "legend-item" },
    svg("svg", { width: 16, height: 16, viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { class: MARKS[verdict].class, d: MARKS[verdict].form(8, 8) })),
    word(verdict));
  const found = Object.keys(MARKS).filter((verdict) => images.some((image) => image.verdict === verdict));
  return h("div", { class: "row small muted" }, found.map(item),
    h("span", { class: "legend-item" },
      svg("svg", { width: 20, height: 16, "aria-hidden": "true" }, svg("line", { class: "threshold", x1: 0, x2: 20, y1: 8, y2: 8 })), "Threshold"),
    beyond > 0 && h("span", {}, `${counted(beyond, "image")} above ${score(limit, 3)}, at the upper edge`));
}

const round = (value) => Math.round(10 * value) / 10;
