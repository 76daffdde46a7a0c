// Questions before something is changed, in the browser's own modal dialog.

import { h } from "../dom.js";
import { field } from "./field.js";

/**
 * Ask, and return what was given as {reason}, or null if it was called off.
 * @param {{title: string, text: string|Node, action: string, danger?: boolean, extra?: Node}} what
 *   `action` names the button; `extra` stands above the buttons.
 */
export function ask({ title, text, action, danger = false, extra = null }) {
  const reason = h("input", {
    maxLength: 500, autocomplete: "off",
    // Enter in a field presses the first button: what cannot be undone wants to be pressed itself.
    on: { keydown: (event) => danger && event.key === "Enter" && event.preventDefault() },
  });
  const heading = h("h2", { id: "dialog-title" }, title);
  const form = h("form", { method: "dialog", class: "stack" },
    heading,
    h("div", {}, text),
    extra,
    field("Reason, for the audit", reason, "Optional."),
    h("div", { class: "row" },
      h("button", { type: "submit", value: "yes", class: danger ? "danger" : "primary" }, action),
      h("button", { type: "submit", value: "no", formNoValidate: true, autofocus: danger }, "Cancel")));
  const dialog = h("dialog", { aria: { labelledby: "dialog-title" } }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? { reason: reason.value.trim() } : null);
    });
  });
}
