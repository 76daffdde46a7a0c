// What came of a replay: in words, over time, by image and by review.

import { framed } from "../../charts/axis.js";
import { thenNow } from "../../charts/then_now.js";
import { h } from "../../dom.js";
import { count, counted, moment, score } from "../../format.js";
import { box, empty } from "../../parts/states.js";
import { table } from "../../parts/table.js";
import { to } from "../../router.js";

const REVIEWS = [["confirmed", "Confirmed anomalies"], ["false_alarm", "False alarms"], ["passed", "Rightly passed"], ["missed", "Missed anomalies"]];

/** Return the result of a replay of a detector, as elements. */
export function replayed(name, found) {
  if (found.images === 0) {
    return empty("No images in this time", found.left_out > 0
      ? `${counted(found.left_out, "image")} of it were seen by another backbone, and cannot be judged again.`
      : "Nothing was scored then, or it is no longer kept. Take a longer time.");
  }
  const isFlip = ({ then, verdict }) => (then.verdict === "anomalous") !== (verdict === "anomalous");
  const flips = found.changed.filter(isFlip);
  const newly = flips.filter((each) => each.verdict === "anomalous");
  const noLonger = flips.filter((each) => each.verdict !== "anomalous");
  return h("div", { class: "stack replayed" },
    summary(found),
    found.left_out > 0 && box("note", [`${counted(found.left_out, "image")} were seen by another backbone, and are left out.`]),
    overTime(found),
    reviews(found.reviews),
    images(name, "Newly flagged", newly, found.newly_flagged),
    images(name, "No longer flagged", noLonger, found.no_longer_flagged));
}

function summary(found) {
  const [then, now] = [found.then.anomalous ?? 0, found.now.anomalous ?? 0];
  const uncertain = found.now.uncertain ?? 0;
  return h("p", { class: "lead" },
    `Of ${counted(found.images, "image")}, ${count(then)} ${then === 1 ? "was" : "were"} flagged then. `,
    h("strong", {}, `The line ${score(found.threshold.value)} of version ${found.version} flags ${count(now)}`),
    `: ${count(found.newly_flagged)} newly, and ${count(found.no_longer_flagged)} no longer.`,
    uncertain > 0 && ` ${count(uncertain)} would be uncertain, for a person to see.`);
}

function overTime({ bins, step }) {
  const label = `Flagged images by the ${step}, then and now. ` + words(bins, step);
  return h("div", {},
    h("h3", {}, `Flagged by the ${step}`),
    framed((width) => thenNow({ width, label, step, bins })),
    h("ul", { class: "legend small" },
      h("li", {}, h("span", { class: "key then", aria: { hidden: "true" } }), "flagged then"),
      h("li", {}, h("span", { class: "key now", aria: { hidden: "true" } }), "flagged by this line")),
    h("details", {},
      h("summary", {}, "The same as numbers"),
      table(`Images by the ${step}`, [
        { name: step === "hour" ? "Hour from" : "Day from", of: (bin) => moment(bin.start) },
        { name: "Images", number: true, of: (bin) => count(bin.images) },
        { name: "Flagged then", number: true, of: (bin) => count(bin.flagged_then) },
        { name: "By this line", number: true, of: (bin) => count(bin.flagged_now) },
      ], bins)));
}

function words(bins, step) {
  const most = bins.reduce((best, bin) => (bin.flagged_now > best.flagged_now ? bin : best));
  return most.flagged_now === 0 ? `No ${step} has any by this line.` : `Most by this line: ${most.flagged_now}, from ${moment(most.start)}.`;
}

function images(name, title, shown, all) {
  if (all === 0) return h("p", {}, h("strong", {}, `${title}: `), "none.");
  const caption = shown.length < all ? `${title}: ${count(shown.length)} of ${count(all)}` : `${title}: ${count(all)}`;
  if (shown.length === 0) return h("p", {}, h("strong", {}, `${title}: ${count(all)}. `), "None of them is among the twenty that change most.");
  return table(caption, [
    { name: "Image", of: ({ then }) => h("a", { href: `${to`/detectors/${name}/history`}?image=${then.id}` }, then.name || "without a name") },
    { name: "Scored", of: ({ then }) => moment(then.at) },
    { name: "Score then", number: true, of: ({ then }) => score(then.score) },
    { name: "Line then", number: true, of: ({ then }) => score(then.threshold) },
    { name: "Score now", number: true, of: (each) => score(each.score) },
    { name: "Line now", number: true, of: (each) => score(each.threshold) },
  ], shown);
}

function reviews(found) {
  const rows = REVIEWS.filter(([word]) => found[word]);
  if (rows.length === 0) return h("p", { class: "muted" }, "No image of this time was reviewed: whether the changes are for the better, only a person's word can tell.");
  return table("What people have said of these images", [
    { name: "Said to be", of: ([, text]) => text },
    { name: "Images", number: true, of: ([word]) => count(found[word].images) },
    { name: "Flagged then", number: true, of: ([word]) => count(found[word].flagged_then) },
    { name: "By this line", number: true, of: ([word]) => count(found[word].flagged_now) },
  ], rows);
}
