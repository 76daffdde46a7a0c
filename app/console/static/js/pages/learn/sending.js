// Images sent as a job, once: the same images sent again after a lost answer make no second job.

import { upload } from "../../api.js";
import { fill, h } from "../../dom.js";
import { bytes } from "../../format.js";
import { archiveType } from "../../parts/files.js";
import { say } from "../../parts/messages.js";

/**
 * Return {node, send}: `send(what)` sends images while the node shows how far they are, and gives
 * the job; null if it was stopped or failed, which is said then.
 * @param {AbortSignal} signal of the page.
 */
export function sending(signal) {
  const node = h("div", { class: "stack", hidden: true });
  let attempt = { for: null, key: "" };

  /**
   * @param {{at: string, query: Object, chosen: Object|null, anomalies?: Array<{file: File, name: string}>,
   *   identity: any}} what `chosen` is what the image chooser gave, null for a folder of the server;
   *   `identity` is what is sent again when it is the same.
   */
  async function send({ at, query, chosen, anomalies = [], identity }) {
    const asked = JSON.stringify(identity);
    if (attempt.for !== asked) attempt = { for: asked, key: unique() };
    const stopping = new AbortController();
    const onLeave = () => stopping.abort();
    signal.addEventListener("abort", onLeave);
    const show = progress(node, chosen?.size ?? 0, () => stopping.abort());
    try {
      const job = await upload("POST", at, {
        query, ...bodyOf(chosen, anomalies), headers: { "Idempotency-Key": attempt.key },
        signal: stopping.signal, onProgress: show,
      });
      attempt = { for: null, key: "" };
      return job;
    } catch (error) {
      if (error.status) attempt = { for: null, key: "" }; // it was answered: another try is a new request
      if (!signal.aborted) say(error.name === "AbortError" ? "The upload was stopped: nothing was changed." : error.message, error.name === "AbortError" ? "note" : "bad");
      return null;
    } finally {
      signal.removeEventListener("abort", onLeave);
      node.hidden = true;
    }
  }

  return { node, send };
}

/** A key nobody else has; crypto.randomUUID is missing where the service is reached without TLS. */
function unique() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");
}

function progress(node, size, onStop) {
  const bar = h("progress", { max: 1, value: 0, aria: { label: "Upload" } });
  const far = h("span", {}, `Sending ${bytes(size)}`);
  fill(node, bar, h("div", { class: "row spread" }, far, h("button", { type: "button", on: { click: onStop } }, "Stop")),
    h("p", { class: "muted small" }, "Stay on this page until all is sent; the job then goes on without it."));
  node.hidden = size === 0;
  return (share) => {
    bar.value = share;
    fill(far, share < 1 ? `Sent ${bytes(share * size)} of ${bytes(size)}` : "All is sent; the service reads it");
  };
}

function bodyOf(chosen, anomalies) {
  if (chosen === null) return {};
  if (chosen.archive) return { body: chosen.archive, type: archiveType(chosen.archive) };
  const form = new FormData();
  for (const { file, name } of chosen.images) form.append("images", file, name);
  for (const { file, name } of anomalies) form.append("anomalies", file, name);
  if (chosen.mask) form.append("mask", JSON.stringify(chosen.mask));
  return { body: form };
}
