// Sign in by an API key, which stays in this tab.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { field } from "../parts/field.js";
import { box } from "../parts/states.js";
import * as session from "../session.js";

const WRITABLE = /^[\x21-\x7e]+$/; // in a header

/** Ask for a key, and for another until the service knows it; `onDone` is called then. */
export function signIn(place, why, onDone) {
  const input = h("input", { type: "password", autocomplete: "off", required: true, spellcheck: false });
  const told = h("div", { role: "alert" }, box("warn", why ? [why] : []));
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const form = h("form", {
    class: "form card",
    on: {
      submit: async (event) => {
        event.preventDefault();
        const key = input.value.trim();
        if (!WRITABLE.test(key)) {
          fill(told, box("bad", ["This is no key: it has characters that keys do not have. Copy it again, without quotes."]));
          return;
        }
        button.disabled = true;
        session.begin(key, null);
        try {
          session.begin("", await get("/v1/me"));
          onDone();
        } catch (error) {
          session.end();
          fill(told, box("bad", [error.message]));
          button.disabled = false;
          input.focus();
        }
      },
    },
  },
  h("h1", {}, "Sign in"),
  h("p", { class: "muted" }, "The console speaks to the service as the holder of an API key. What the key's role does not allow is not shown."),
  told,
  field("API key", input, "It begins with gw_ and is kept in this tab only: closing the tab forgets it."),
  button);
  fill(place, form);
  input.focus();
}
