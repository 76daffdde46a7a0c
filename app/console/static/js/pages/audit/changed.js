// From what to what a line of the audit went: only what differs.

import { h } from "../../dom.js";

export function changed(line) {
  const names = [...new Set([...Object.keys(line.before), ...Object.keys(line.after)])];
  const rows = names
    .map((name) => [name, said(line.before[name]), said(line.after[name])])
    .filter(([, before, after]) => before !== after);
  return h("details", { class: "small audit-changed" },
    h("summary", {}, `Line ${line.sequence}`),
    h("dl", {},
      rows.map(([name, before, after]) => [
        h("dt", {}, name),
        h("dd", {}, before !== "" && h("del", {}, before), before !== "" && after !== "" && " → ", after !== "" && h("ins", {}, after)),
      ]),
      h("dt", {}, "request"), h("dd", {}, h("code", {}, line.request_id || "–"))));
}

function said(value) {
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
