// A proposed line becomes a version.

import { get, path, put } from "../../api.js";
import { h } from "../../dom.js";
import { score } from "../../format.js";
import { ask } from "../../parts/dialog.js";
import { choice, field } from "../../parts/field.js";
import { busy, say } from "../../parts/messages.js";
import { box } from "../../parts/states.js";

/** Return {element, offer(line, proposed), withhold()}: the button, and what it would apply. */
export function applying({ name, shown, version, allowStale, refresh, signal }) {
  let offered = null;
  const button = h("button", { type: "button", class: "primary", disabled: true, on: { click: () => busy(button, apply).then(settle) } }, "Apply this line");
  const note = h("span", { class: "muted small" });
  const settle = () => (button.disabled = offered === null);

  async function apply() {
    const { line, proposed } = offered;
    const now = await get(path`/v1/detectors/${name}`, { signal });
    const hasMoved = now.in_service !== shown.in_service && `Version ${now.in_service} has gone into service since this page was opened. The line is drawn on version ${version} all the same: at once, it takes the place of version ${now.in_service}.`;
    const when = choice([["auto", "At once"], ["never", "Not yet: it waits under Versions"]], "auto");
    const given = await ask({
      title: `Draw the line at ${score(proposed.value)}?`,
      text: h("div", { class: "stack" }, box("warn", [hasMoved].filter(Boolean)), h("p", {}, `${proposed.statement} It makes a version of ${name} beside those there are.`)),
      action: "Apply",
      extra: field("Put it into service", when),
    });
    if (given === null) return;
    const query = { base: version, promote: when.value, allow_stale: allowStale || null, ...given };
    const made = await put(path`/v1/detectors/${name}/threshold`, { json: line, query });
    const isServing = made.in_service === made.version;
    say(`Version ${made.version} has the line ${score(made.value)}${isServing ? " and is in service." : `; version ${made.in_service} stays in service.`}`);
    made.warnings.forEach((each) => say(each, "warn"));
    refresh();
  }

  return {
    element: h("div", { class: "row" }, button, note),
    offer(line, proposed) {
      offered = isSame(proposed, shown.threshold) ? null : { line, proposed };
      note.textContent = offered ? "" : `This is the line of version ${shown.version} already.`;
      settle();
    },
    withhold() {
      offered = null;
      note.textContent = "";
      settle();
    },
  };
}

function isSame(one, other) {
  const known = ({ value, method, parameters, by_group, review_target }) => JSON.stringify([value, method, Object.entries(parameters).toSorted(), Object.entries(by_group).toSorted(), review_target]);
  return other !== null && known(one) === known(other);
}
