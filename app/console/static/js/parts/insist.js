// What the service refuses unless it is told to go on: its own words first, then the same again.

import { ask } from "./dialog.js";

/**
 * Send a request; if a problem says what would allow it, ask whether to go on.
 * @param {(allowed: Object) => Promise<any>} send with the query parameters that allow it; none at first.
 * @param {Object} ways which parameter allows what, by the type of the problem, as
 *   {"not-calibrated": "allow_uncalibrated"}.
 * @param {string} action names the button.
 * @returns what `send` returned, or undefined if it was called off.
 */
export async function insist(send, ways, action = "Go on anyway") {
  const allowed = {};
  for (;;) {
    try {
      return await send(allowed);
    } catch (error) {
      const way = ways[error.rest?.type?.split(":").pop()];
      if (!way || allowed[way]) throw error;
      const given = await ask({ title: `${error.title}: go on anyway?`, text: error.message[0].toUpperCase() + error.message.slice(1), action, danger: true });
      if (given === null) return undefined;
      allowed[way] = true;
      if (given.reason) allowed.reason = given.reason;
    }
  }
}
