// Short messages at the edge, read out by screen readers; they go by themselves, errors do not.

import { h } from "../dom.js";

const STAY_MS = 6000;

/** Say something; kind: good, note, warn or bad. */
export function say(text, kind = "good") {
  const close = h("button", { type: "button", aria: { label: "Dismiss" }, on: { click: () => message.remove() } }, "×");
  const message = h("div", { class: `message box ${kind}` }, h("span", {}, text), close);
  document.getElementById("messages").append(message);
  if (kind !== "bad") setTimeout(() => message.remove(), STAY_MS);
}

/**
 * Do what a button is for: it can't be pressed again meanwhile, and what fails is said.
 * Returns what the work returned, or undefined if it failed.
 */
export async function busy(button, work) {
  const hadFocus = document.activeElement === button;
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, "bad");
    return undefined;
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
    // What is disabled loses the focus; it is given back unless it has gone elsewhere.
    if (hadFocus && document.activeElement === document.body) button.focus();
  }
}
