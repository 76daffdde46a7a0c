// A new key: its terms, and its text, which is shown once.

import { post } from "../../api.js";
import { fill, h } from "../../dom.js";
import { choice, field } from "../../parts/field.js";
import { busy } from "../../parts/messages.js";
import { box } from "../../parts/states.js";
import { hold } from "../../router.js";
import * as session from "../../session.js";
import { made } from "./made.js";

const ONCE = "The key's text is shown only this once. Leave without having stored it?";

/** Return the form; what was made takes the place of the page, until its text has been stored. */
export function making({ isFirst, refresh, place, signal }) {
  const name = h("input", { required: true, autocomplete: "off", spellcheck: false });
  const role = choice(isFirst ? [["admin", "admin"]] : [["score", "score"], ["fit", "fit"], ["admin", "admin"]], isFirst ? "admin" : "score");
  const expires = h("input", { type: "datetime-local" });
  const perMinute = h("input", { type: "number", min: 1, max: 1_000_000, step: 1 });
  const reason = h("input", { maxLength: 500, autocomplete: "off" });
  const told = h("div", { role: "alert" });
  const button = h("button", { type: "submit", class: "primary" }, isFirst ? "Make the first key" : "Make a key");
  const form = h("form", {
    class: "card stack",
    on: {
      submit: (event) => {
        event.preventDefault();
        fill(told);
        return busy(button, async () => {
          const release = hold(ONCE, signal);
          let key;
          try {
            key = await post("/v1/keys", { json: terms(), query: { reason: reason.value.trim() } });
          } catch (error) {
            release();
            fill(told, box("bad", [error.message]));
            return;
          }
          // From now on requests need a key: this tab's is the one just made.
          if (isFirst) session.begin(key.key, { name: key.name, role: key.role, is_open: false });
          fill(place, made(key, () => {
            release();
            refresh();
          }));
          place.querySelector("h2").focus();
        });
      },
    },
  },
  h("h2", {}, isFirst ? "The first key" : "A new key"),
  h("div", { class: "keys-form" },
    field("Name", name, "Whose it is: letters, digits, dots, dashes. Given once, ever."),
    field("Role", role, isFirst ? "The first key manages the others." : "What it may do; each role includes those before it."),
    field("Ends", expires, "Empty: when it is revoked."),
    field("Requests a minute", perMinute, "Empty: no limit."),
    field("Reason, for the audit", reason, "Optional.")),
  told,
  h("div", {}, button));
  return form;

  function terms() {
    return {
      name: name.value.trim(),
      role: role.value,
      ...(expires.value && { expires_at: new Date(expires.value).toISOString() }),
      ...(perMinute.value && { per_minute: Number(perMinute.value) }),
    };
  }
}
