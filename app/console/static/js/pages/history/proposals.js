// What the reviews suggest for the version in service, with what each proposal would change.

import { get, path, post } from "../../api.js";
import { fill, h } from "../../dom.js";
import { counted, score } from "../../format.js";
import { ask } from "../../parts/dialog.js";
import { busy, say } from "../../parts/messages.js";
import { reviewWord } from "../../parts/reviews.js";
import { table } from "../../parts/table.js";
import { to } from "../../router.js";
import { can } from "../../session.js";

const RULES = {
  conformal: ["Raise the threshold", "The false alarms join the calibration images, and the threshold is drawn anew for the same share of false alarms. It can only rise: more anomalies may be missed."],
  between: ["Draw the threshold between", "The threshold goes between the images that people found normal, false alarms and rightly passed ones, and those they found anomalous. It parts these, and promises nothing of others."],
  extend: ["Learn the false alarms", "The false alarms are fitted as normal images, and the calibration is judged anew."],
};

/** Return the box; it asks when it is asked to, for every proposal is tried on thousands of images. */
export function proposals(detector, signal) {
  const found = h("div", { class: "stack" });
  const button = h("button", { type: "button", on: { click: () => busy(button, show) } }, "See what the reviews suggest");
  async function show() {
    const answer = await get(path`/v1/detectors/${detector.name}/proposals`, { signal });
    const fresh = async () => {
      const now = await get(path`/v1/detectors/${detector.name}`, { signal });
      if (now.in_service === answer.version) return true;
      say(`Version ${now.in_service} has gone into service since. Nothing was made: the proposals are asked for again, for that version.`, "warn");
      await show();
      return false;
    };
    fill(found,
      h("p", {}, `${counted(answer.reviewed, "reviewed image")} looked at, for version ${answer.version}.`,
        answer.left_out > 0 && ` ${counted(answer.left_out, "image")} left out: what they were judged by is no longer kept, or they are beyond the latest hundreds.`),
      h("div", { class: "columns" }, answer.proposals.map((each) => proposal(each, detector, fresh))));
  }
  return h("section", { class: "card stack", aria: { label: "Proposals" } },
    h("h2", {}, "Proposals"),
    h("p", { class: "muted" }, "False alarms and missed anomalies that were reviewed can move the threshold, or become images to learn from. Nothing is changed before it is applied."),
    h("div", {}, button), h("div", { role: "status" }, found));
}

function proposal({ kind, rule, proposed, problem }, detector, fresh) {
  const [title, text] = RULES[rule];
  return h("section", { class: "card stack tight", aria: { label: title } },
    h("h3", {}, title),
    h("p", { class: "small muted" }, text),
    problem && h("p", {}, h("strong", {}, "Not now: "), problem.detail),
    proposed && changes(title, proposed, detector),
    proposed && can("admin") && applyButton(kind, rule, title, detector, fresh));
}

function changes(title, { threshold, images_added: added, reviews, history }, detector) {
  const rows = [
    ...Object.entries(reviews).map(([word, shift]) => [`Reviewed: ${reviewWord(word).toLowerCase()}`, shift]),
    ["The latest scored images", history],
  ];
  return [
    h("p", {}, `The threshold would go from ${score(detector.threshold?.value)} to ${score(threshold.value)}.`, added > 0 && ` ${counted(added, "reviewed image")} would be taken in.`),
    h("p", { class: "small" }, threshold.statement),
    table(`${title}: what would change`, [
      { name: "Images", of: ([name, { images }]) => `${name} (${images})` },
      { name: "Flagged now", of: ([, shift]) => shift.flagged_before, number: true },
      { name: "Then", of: ([, shift]) => shift.flagged_after, number: true },
    ], rows),
  ];
}

/** Return the button; `fresh()` says whether what is proposed is still of the version in service. */
function applyButton(kind, rule, title, { name }, fresh) {
  const button = h("button", { type: "button", on: { click: () => busy(button, apply) } }, "Apply");
  async function apply() {
    const asked = await ask({
      title: `${title}?`,
      text: "A new version is made of it. It does not serve before it is promoted on the Versions page.",
      action: "Make the version",
    });
    if (!asked || !(await fresh())) return;
    const query = { rule: kind === "threshold" ? rule : null, reason: asked.reason };
    const { lineage: made } = await post(path`/v1/detectors/${name}/proposals/${kind}/apply`, { query });
    say(`Version ${made.version} is made; it does not serve yet.`);
    const onward = h("a", { class: "button", href: to`/detectors/${name}/versions` }, `Version ${made.version}: to the versions`);
    button.replaceWith(onward);
    onward.focus();
  }
  return h("div", { class: "row" }, button);
}
