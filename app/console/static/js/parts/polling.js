// Asking again and again while a page is looked at.

import { pause } from "../api.js";

/**
 * Do the work now and then every so many seconds, until the signal; not while the tab is hidden.
 * What fails is handed to `onError`, and tried again in its turn.
 */
export async function every(seconds, work, signal, onError = () => {}) {
  while (!signal.aborted) {
    try {
      if (!document.hidden) await work();
      await pause(seconds, signal);
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return;
      onError(error);
      await pause(seconds, signal).catch(() => {});
    }
  }
}
