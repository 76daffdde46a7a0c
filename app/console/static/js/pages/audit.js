// Who changed what, newest first, a page at a time.

import { get } from "../api.js";
import { h } from "../dom.js";
import { moment } from "../format.js";
import { field } from "../parts/field.js";
import { empty } from "../parts/states.js";
import { table } from "../parts/table.js";
import { go } from "../router.js";
import { changed } from "./audit/changed.js";

const PAGE = 100;

export async function audit({ query, signal }) {
  const subject = query.get("subject") ?? "";
  const before = Number(query.get("before")) || null;
  const asked = { order: "newest", limit: PAGE, subject, ...(before && { before }) };
  const { lines, next } = await get("/v1/audit", { query: asked, signal });
  return h("div", { class: "stack" },
    h("div", { class: "head" },
      h("div", {}, h("h1", {}, "Audit"), h("p", { class: "muted" }, "Who changed what, when and why. Lines are only ever added."))),
    filter(subject),
    lines.length === 0 ? nothing(subject, before) : lineTable(lines, subject),
    h("nav", { class: "row", aria: { label: "Pages of the audit" } },
      before && h("a", { class: "button", href: where(subject) }, "Newest"),
      next && h("a", { class: "button", href: where(subject, next) }, "Older")));
}

function filter(subject) {
  const input = h("input", { value: subject, maxLength: 200, autocomplete: "off", spellcheck: false });
  return h("form", {
    class: "inline-form", role: "search",
    on: {
      submit: (event) => {
        event.preventDefault();
        go(where(input.value.trim()).slice(1));
      },
    },
  },
  field("Subject", input, "The whole name of a detector, or the id of a key; empty: all."),
  h("div", { class: "row" },
    h("button", { type: "submit", class: "primary" }, "Show"),
    subject && h("a", { class: "button", href: where("") }, "Show all")));
}

function lineTable(lines, subject) {
  return table(subject ? `Changes of ${subject}, newest first` : "Changes, newest first", [
    { name: "When", of: (line) => moment(line.at) },
    { name: "Who", of: (line) => line.who },
    { name: "What", of: (line) => h("code", {}, line.action) },
    { name: "Subject", of: (line) => (line.subject ? h("a", { href: where(line.subject) }, line.subject) : "–") },
    { name: "Reason", of: (line) => line.reason || "–" },
    { name: "Details", of: changed },
  ], lines);
}

function nothing(subject, before) {
  if (before) return empty("Nothing older", "This is where the audit begins.");
  return subject
    ? empty("No change of this subject", "Subjects are compared as a whole: give the full name of a detector, or the id of a key.")
    : empty("No change yet", "What somebody creates, fits, calibrates, promotes or deletes stands here.");
}

function where(subject, before = null) {
  const query = new URLSearchParams({ ...(subject && { subject }), ...(before && { before }) }).toString();
  return `#/audit${query ? `?${query}` : ""}`;
}
