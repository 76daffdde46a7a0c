// Asking again and again while a page is looked at.

import { pause } from "../api.js";

/**
 * Do the work after every so many seconds, until the signal; not while the tab is hidden.
 * What fails is handed to `onError`, and tried again in its turn.
 * @param {() => number} seconds is asked before each wait.
 */
export async function every(seconds, work, signal, onError) {
  while (!signal.aborted) {
    try {
      await pause(seconds(), signal);
      if (!document.hidden) await work();
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return;
      onError(error);
    }
  }
}
