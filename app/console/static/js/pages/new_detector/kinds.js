// What a detector's samples are, images or another kind, and how those of the other kinds are looked at.

import { fill, h } from "../../dom.js";
import { capital } from "../../format.js";
import { check, choice, field } from "../../parts/field.js";
import { IMAGE, kindOf } from "../../parts/kinds.js";
import { box } from "../../parts/states.js";

const UNITS = { hz: "Hz", ms: "ms", px: "px", s: "s" };

/**
 * Return {node, samples, view}: the choice of a kind and of how it is looked at; `samples()` is the kind
 * as `kindOf` tells it, `view()` what the API takes.
 * @param {{kinds: Object}} info what the service says of itself.
 * @param {() => void} onChange called when another kind was chosen.
 */
export function kinds(info, onChange) {
  const others = Object.entries(info.kinds).filter(([name]) => name !== IMAGE.name);
  const missing = others.filter(([, told]) => told.missing);
  const offered = [[IMAGE.name, "image (default)"], ...others.map(([name, { sample }]) => [name, sample === name ? name : `${name}: ${sample}`])];
  const chosen = choice(offered, IMAGE.name, { on: { change: () => { show(); onChange(); } } });
  for (const option of chosen.options) option.disabled = missing.some(([name]) => name === option.value);
  const looking = h("div", { class: "stack" });
  let fields = [];

  function show() {
    const { one, isImage, inWords } = kindOf(chosen.value, info);
    fields = isImage ? [] : Object.entries(info.kinds[chosen.value].view).map(([name, value]) => viewField(name, value));
    fill(looking,
      !isImage && h("p", { class: "muted small" }, `Taken as ${inWords}. Its network learns from the normal ones when it is fitted.`),
      fields.length > 0 && h("fieldset", { class: "plain" }, h("legend", {}, `How a ${one} is looked at`),
        h("div", { class: "columns" }, fields.map(({ node }) => node))));
  }

  return {
    node: h("div", { class: "stack", hidden: others.length === 0 },
      field("Kind of data", chosen, "What one sample is: an image, or what else the service can learn."),
      box("note", missing.map(([name, told]) => `${capital(name)} cannot be chosen here: ${told.missing}`)),
      looking),
    samples: () => kindOf(chosen.value, info),
    view: () => Object.fromEntries(fields.map(({ name, value }) => [name, value()])),
  };
}

/** Return {name, node, value} for one setting, which is of the type of its default. */
function viewField(name, standard) {
  if (typeof standard === "boolean") {
    const ticked = h("input", { checked: standard });
    return { name, node: check(label(name), ticked), value: () => ticked.checked };
  }
  const isNumber = typeof standard === "number";
  const input = h("input", isNumber ? { type: "number", step: "any", value: standard } : { autocomplete: "off", spellcheck: false, value: standard });
  const given = () => (isNumber ? Number(input.value) : input.value);
  return {
    name,
    node: field(label(name), input, isNumber || standard ? `${standard} unless told otherwise.` : ""),
    value: () => (isNumber && input.value === "" ? standard : given()),
  };
}

/** rate_hz as "Rate, Hz", most_lines as "Most lines". */
function label(name) {
  const parts = name.split("_");
  const unit = parts.length > 1 ? UNITS[parts.at(-1)] : undefined;
  return capital(unit ? `${parts.slice(0, -1).join(" ")}, ${unit}` : parts.join(" "));
}
