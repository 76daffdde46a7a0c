// Server-sent events over fetch, for an EventSource cannot send a key; taken up again where they ended.

import { pause, Problem, stream } from "./api.js";

const LONGEST_PAUSE_S = 10;

/**
 * Give each event's data, parsed, until the service ends the stream.
 * A connection that is lost is made anew, and the service told what was seen last.
 */
export async function* events(at, signal) {
  let last = "";
  for (let wait_s = 0.5; ; wait_s = Math.min(2 * wait_s, LONGEST_PAUSE_S)) {
    try {
      const response = await stream(at, { headers: last ? { "Last-Event-ID": last } : {}, signal });
      for await (const event of parsed(response.body)) {
        last = event.id || last;
        wait_s = 0.5;
        if (event.data) yield JSON.parse(event.data);
      }
      return;
    } catch (error) {
      const isFinal = error.name === "AbortError" || (error instanceof Problem && error.status !== 0 && error.status !== 429 && error.status < 500);
      if (isFinal) throw error;
    }
    await pause(wait_s, signal);
  }
}

async function* parsed(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) yield event(block);
  }
}

function event(block) {
  const found = { id: "", data: "" };
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (name === "id") found.id = value;
    if (name === "data") found.data += (found.data ? "\n" : "") + value;
  }
  return found;
}
