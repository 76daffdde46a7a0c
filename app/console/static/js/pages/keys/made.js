// The text of a key that was just made, on its only appearance.

import { h } from "../../dom.js";
import { check } from "../../parts/field.js";
import { say } from "../../parts/messages.js";
import { box } from "../../parts/states.js";

/** Return it with a way to copy it; `onDone` is called once it is said to be stored. */
export function made(key, onDone) {
  const stored = h("input", { on: { change: () => { done.disabled = !stored.checked; } } });
  const done = h("button", { type: "button", disabled: true, on: { click: () => onDone() } }, "Done");
  const text = h("code", { class: "key-text", tabIndex: 0, role: "textbox", aria: { readonly: "true", label: "Text of the key" } }, key.key);
  return h("section", { class: "card stack", aria: { label: "New key" } },
    h("h2", { tabIndex: -1 }, `The key ${key.name}, role ${key.role}`),
    box("warn", ["This is the only time that its text is shown: the service keeps no copy. Store it where secrets are kept."]),
    text,
    h("div", {}, h("button", { type: "button", on: { click: () => copy(key.key, text) } }, "Copy")),
    check("I have stored the key", stored, "Without it nobody can use it; another has to be made then."),
    h("div", {}, done));
}

async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    say("The key is in the clipboard.");
  } catch {
    // Browsers give the clipboard to secure addresses only: the text is marked for a copy by hand.
    getSelection().selectAllChildren(shown);
    say("This browser does not let the page copy: the text is marked, copy it by keyboard.", "warn");
  }
}
