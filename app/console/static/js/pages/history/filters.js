// What of the history is shown: asked of the service by verdict and time, of what came by text.

import { h } from "../../dom.js";
import { check, choice, field } from "../../parts/field.js";
import { can } from "../../session.js";
import { TO_REVIEW } from "./stream.js";

const VERDICTS = [["", "All"], ["anomalous", "Anomalous"], ["uncertain", "Uncertain"], ["normal", "Normal"], ["uncalibrated", "No verdict"]];
const PAUSE_MS = 250;

export class Filters {
  /**
   * @param {URLSearchParams} query the address's, which holds what is chosen.
   * @param {{onAsk: () => void, onText: () => void, onLive: (isOn: boolean) => void}} what
   *   `onAsk` when the service must be asked anew, `onText` when what came is to be looked through.
   */
  constructor(query, { onAsk, onText, onLive }) {
    const options = can("fit") ? [...VERDICTS.slice(0, 1), [TO_REVIEW, "Waiting for a review"], ...VERDICTS.slice(1)] : VERDICTS;
    const asked = query.get("verdict") ?? "";
    let waiting = 0;
    const later = (work) => () => {
      clearTimeout(waiting);
      waiting = setTimeout(work, PAUSE_MS);
    };
    this.verdict = choice(options, options.some(([value]) => value === asked) ? asked : "", { on: { change: onAsk } });
    this.since = h("input", { type: "datetime-local", value: local(query.get("since")), on: { change: onAsk } });
    this.until = h("input", { type: "datetime-local", value: local(query.get("until")), on: { change: onAsk } });
    this.text = h("input", { type: "search", maxLength: 200, autocomplete: "off", value: query.get("text") ?? "", on: { input: later(onText) } });
    this.live = h("input", { on: { change: () => onLive(this.live.checked) } });
    this.element = h("form", { class: "card history-filters", aria: { label: "Filters" }, on: { submit: (event) => event.preventDefault() } },
      field("Verdict", this.verdict), field("Scored since", this.since), field("Until", this.until),
      field("Name or group", this.text), check("Live, every 5 s", this.live));
  }

  /** What the service is asked for. */
  get asked() {
    return { verdict: this.verdict.value, since: moment(this.since.value), until: moment(this.until.value) };
  }

  get isAny() {
    return [this.verdict, this.since, this.until, this.text].some(({ value }) => value !== "");
  }

  set(verdict) {
    this.verdict.value = verdict;
  }

  clear() {
    for (const input of [this.verdict, this.since, this.until, this.text]) input.value = "";
  }

  /** Whether an image's name or group holds the text. */
  holds({ name, group }) {
    const text = this.text.value.trim().toLowerCase();
    return text === "" || name.toLowerCase().includes(text) || group.toLowerCase().includes(text);
  }

  /** As the address holds it. */
  get query() {
    const { verdict, since, until } = this.asked;
    return Object.entries({ verdict, since, until, text: this.text.value.trim() }).filter(([, value]) => value);
  }
}

/** What was typed in the reader's zone, as the service takes it; "" for none. */
function moment(text) {
  return text ? new Date(text).toISOString() : "";
}

/** The reverse, for an input; "" for what is no moment. */
function local(text) {
  const at = new Date(text ?? "");
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60e3).toISOString().slice(0, 16);
}
