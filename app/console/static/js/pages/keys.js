// API keys: who may do what, made and revoked.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { count, moment } from "../format.js";
import { badge, box } from "../parts/states.js";
import { table } from "../parts/table.js";
import * as session from "../session.js";
import { making } from "./keys/making.js";
import { revoke } from "./keys/revoke.js";

const STATES = { usable: ["good", "usable"], expired: ["warn", "expired"], revoked: ["", "revoked"] };
const ROLES = {
  score: "Score: judge images, look at history, drift and versions.",
  fit: "Fit: also make detectors, fit them, watch jobs.",
  admin: "Admin: all of it, with calibration, thresholds, versions, the audit and keys.",
};

export async function keys({ signal, refresh }) {
  const { keys: found } = await get("/v1/keys", { signal });
  const usable = found.filter((key) => key.state === "usable").toReversed();
  const ended = found.filter((key) => key.state !== "usable").toReversed();
  const place = h("div", { class: "stack" });
  const isFirst = session.me.is_open;
  fill(place,
    isFirst && box("warn", [
      "There is no key yet, so this machine needs none. Making the first one closes the service for good: from then on every request needs a key, and revoking all keys does not open it again.",
      "The first key is an admin’s. This tab signs in with it at once; copy it before you go on, for it is shown only once.",
    ], "The first key closes the service"),
    making({ isFirst, refresh, place, signal }),
    usable.length > 0 && h("section", { class: "card" }, list("Keys that can be used", usable, (key) => revoke(key, { signal, refresh }))),
    ended.length > 0 && h("details", { class: "card" },
      h("summary", {}, `Keys that have ended (${count(ended.length)})`),
      list("Keys that have ended", ended, (key) => key.state === "expired" && revoke(key, { signal, refresh }))),
    h("details", { class: "card" }, h("summary", {}, "What each role may do"), h("ul", {}, Object.values(ROLES).map((text) => h("li", {}, text)))));
  return h("div", {},
    h("div", { class: "head" }, h("div", {}, h("h1", {}, "Keys"), h("p", { class: "muted" }, "Who may ask the service for what. A name is given once, so that the audit stays true."))),
    place);
}

function list(caption, found, action) {
  return table(caption, [
    { name: "Name", of: (key) => [key.name, key.name === session.me.name && [" ", badge("note", "this tab’s")]] },
    { name: "Role", of: (key) => key.role },
    { name: "State", of: (key) => badge(...(STATES[key.state] ?? ["", key.state])) },
    { name: "Made", of: (key) => `${moment(key.created_at)} by ${key.created_by}` },
    { name: "Ends", of: (key) => ends(key) },
    { name: "Requests a minute", of: (key) => (key.per_minute === null ? "no limit" : count(key.per_minute)), number: true },
    { name: "Id", of: (key) => h("code", {}, key.id) },
    { name: "Action", of: action },
  ], found);
}

function ends(key) {
  if (key.revoked_at) return `revoked ${moment(key.revoked_at)}`;
  return key.expires_at ? moment(key.expires_at) : "when it is revoked";
}
