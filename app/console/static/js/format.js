// Numbers, shares and moments as people read them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** 12,345 */
export const count = (value) => WHOLE.format(value);

/** "1 image", "2 images" */
export const counted = (value, noun) => `${count(value)} ${value === 1 ? noun : plural(noun)}`;

/** "images", "images with text"; "series" is both. */
export const plural = (noun) => noun.replace(/^(.*?)(?= with |$)/, (word) => (word.endsWith("s") ? word : `${word}s`));

/** "Images" */
export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

/** A score or another measured value, with as many digits as tell it apart. */
export function score(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  return String(Number(Number(value).toPrecision(digits)));
}

/** 0.0123 as "1.2 %", 0.996 as "99.6 %". */
export function share(value, digits = 2) {
  if (value === null || value === undefined) return "–";
  // Almost all is not all: what is missing keeps its first digit.
  if (value > 0.99 && value < 1) return `${score(100 - Number((100 * (1 - value)).toPrecision(1)), 12)} %`;
  return `${score(100 * value, digits)} %`;
}

/** "21 Nov 2026, 14:03:07", in the reader's own time zone. */
export const moment = (text) => (text ? MOMENT.format(new Date(text)) : "–");

/** "5 min. ago" */
export function ago(text, now = Date.now()) {
  if (!text) return "never";
  const seconds = (new Date(text).getTime() - now) / 1000;
  const [unit, size] = STEPS.find(([, each]) => Math.abs(seconds) >= each) ?? ["second", 1];
  return AGO.format(Math.trunc(seconds / size), unit);
}

/** 75 as "1 min 15 s", 60 as "1 min". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return both(Math.floor(whole / 60), "min", whole % 60, "s");
  return both(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
}

/** 5242880 as "5 MiB". */
export function bytes(value) {
  const power = value < 1024 ? 0 : Math.min(3, Math.floor(Math.log2(value) / 10));
  return `${score(value / 1024 ** power, 3)} ${["bytes", "KiB", "MiB", "GiB"][power]}`;
}

const both = (large, unit, small, part) => `${large} ${unit}${small ? ` ${small} ${part}` : ""}`;
