// What is done with a version: put it in service, go back, let it follow, delete it.

import { post, put, remove as send } from "../../api.js";
import { h } from "../../dom.js";
import { ask } from "../../parts/dialog.js";
import { insist } from "../../parts/insist.js";
import { busy, say } from "../../parts/messages.js";

const UNLESS = { "not-calibrated": "allow_uncalibrated", "stale-calibration": "allow_stale" };

export function promote(number, { at, signal, refresh }) {
  return action("Put in service", `Put version ${number} in service`, {
    title: `Put version ${number} in service?`,
    text: "The next image is judged by it, and the next change builds on it. A rollback brings the present one back.",
    action: "Put in service",
  }, (given) => insist((allowed) => post(`${at}/versions/${number}/promote`, { query: { ...given, ...allowed }, signal }), UNLESS),
  () => `Version ${number} is in service.`, refresh);
}

export function rollback({ at, signal, refresh }) {
  return action("Roll back", null, {
    title: "Roll back to the version before?",
    text: "The version that served before this one serves again, from the next image on. A second rollback goes forward again.",
    action: "Roll back",
  }, (given) => insist((allowed) => post(`${at}/rollback`, { query: { ...given, ...allowed }, signal }), UNLESS),
  (now) => `Version ${now.in_service} is in service again.`, refresh);
}

export function follow(number, { at, signal, refresh }) {
  return action("Try as shadow", `Try version ${number} as shadow`, {
    title: `Let version ${number} score alongside?`,
    text: "It judges every image too. Its verdicts are counted against those of the version in service, and told to nobody.",
    action: "Start the shadow",
  }, (given) => put(`${at}/shadow`, { json: { version: number }, query: given, signal }),
  () => `Version ${number} scores alongside.`, refresh);
}

export function unfollow({ at, signal, refresh }) {
  return action("Stop the shadow", null, {
    title: "Stop the shadow?",
    text: "No version scores alongside any more. What was counted stays.",
    action: "Stop the shadow",
  }, (given) => send(`${at}/shadow`, { query: given, signal }).then(() => true), () => "No version scores alongside.", refresh);
}

export function remove(number, { at, signal, refresh }) {
  return action("Delete", `Delete version ${number}`, {
    title: `Delete version ${number}?`,
    text: "It is gone for good, with what only it needed. The audit keeps a line of it.",
    action: "Delete",
    danger: true,
  }, (given) => send(`${at}/versions/${number}`, { query: given, signal }).then(() => true), () => `Version ${number} is deleted.`, refresh);
}

/** A button that asks, does it, says what came of it and shows the page anew. */
function action(text, label, question, work, done, refresh) {
  const button = h("button", {
    type: "button", class: question.danger ? "danger" : null, aria: { label },
    on: {
      click: async () => {
        const given = await ask(question);
        if (given === null) return;
        const now = await busy(button, () => work(given));
        if (now === undefined) return;
        say(done(now));
        await refresh();
      },
    },
  }, text);
  return button;
}
