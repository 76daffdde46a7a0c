// The end of a key.

import { remove } from "../../api.js";
import { h } from "../../dom.js";
import { ask } from "../../parts/dialog.js";
import { insist } from "../../parts/insist.js";
import { busy, say } from "../../parts/messages.js";
import * as session from "../../session.js";

export function revoke(key, { signal, refresh }) {
  const isOwn = key.name === session.me.name;
  const button = h("button", {
    type: "button", class: "danger", aria: { label: `Revoke ${key.name}` },
    on: {
      click: async () => {
        const given = await ask({
          title: `Revoke ${key.name}?`,
          text: isOwn
            ? "This tab is signed in with it: you will be signed out, and need another key to come back. It ends for good."
            : "Whoever uses it is refused within a second, for good. Its name cannot be given again.",
          action: "Revoke",
          danger: true,
        });
        if (given === null) return;
        const send = (allowed) => remove(`/v1/keys/${key.id}`, { query: { ...given, ...allowed }, signal }).then(() => true);
        const isDone = await busy(button, () => insist(send, { "no-admin-key": "force" }, "Revoke it all the same"));
        if (!isDone) return;
        if (isOwn) {
          // The service may take it for a second more: this tab does not wait for that.
          window.dispatchEvent(new CustomEvent("signed-out", { detail: `The key ${key.name} is revoked.` }));
          return;
        }
        say(`${key.name} is revoked.`);
        await refresh();
      },
    },
  }, "Revoke");
  return button;
}
