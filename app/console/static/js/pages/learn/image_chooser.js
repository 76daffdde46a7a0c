// Images, or samples of another kind, on their way into a job: dropped, looked at, counted, grouped.

import { fill, h } from "../../dom.js";
import { bytes, capital, count, counted } from "../../format.js";
import { dropzone } from "../../parts/dropzone.js";
import { check } from "../../parts/field.js";
import { leftOut, paired, sorted } from "../../parts/files.js";
import { polygon } from "../../parts/polygon.js";
import { box } from "../../parts/states.js";
import { groups, names } from "./names.js";

const [SHOWN, NAMED] = [60, 12];
const GROUPS_SHOWN = 30;

/**
 * Return {node, chosen}: a place for samples, and what is in it.
 *
 * `chosen()` gives {images: [{file, name}], archive, size, byFolder, mask, problems}; `problems`
 * are sentences that say why it cannot be sent, and what to do.
 * @param {{title: string, hint: string, limits: Object, samples: Object, signal: AbortSignal,
 *   onChange: () => void, archives?: boolean, grouped?: boolean, region?: boolean}} what `samples` says
 *   of which kind they are; `archives` takes a zip or tar file; `grouped` offers groups by folder;
 *   `region` asks for the region that counts.
 */
export function imageChooser({ title, hint, limits, samples, signal, onChange, archives = true, grouped = true, region = false }) {
  let chosen = nothing();
  const shown = h("div", { class: "stack" });
  const trouble = h("div", { role: "alert" });
  const byFolder = h("input", { on: { change: () => { chosen.byFolder = byFolder.checked; draw(); } } });
  const folders = check("Lots, sessions or cameras are folders", byFolder, `A group for each folder: ${samples.many} of one group resemble each other, and what is promised is tested by leaving each out.`);
  const addresses = [];
  signal.addEventListener("abort", forgetAddresses);

  function take(files) {
    const found = sorted(files, samples);
    const known = new Set(chosen.images.map((each) => `${each.path} ${each.file.size}`));
    chosen.images.push(...found.images.filter(({ file, path }) => !known.has(`${path} ${file.size}`)));
    chosen.images.sort((a, b) => (a.path < b.path ? -1 : 1));
    chosen.archives.push(...found.archives);
    chosen.others.push(...found.others);
    name();
    const count = groups(chosen.images.map((each) => each.name)).size;
    byFolder.checked = chosen.byFolder = grouped && count > 1;
    draw();
  }

  function name() {
    const all = names(chosen.images.map((each) => each.path));
    chosen.images.forEach((each, i) => { each.name = all[i]; });
  }

  function draw() {
    forgetAddresses();
    const { images: all, archives: packed } = chosen;
    const isEmpty = all.length + packed.length + chosen.others.length === 0;
    fill(shown,
      !isEmpty && h("div", { class: "row spread" }, h("strong", { role: "status" }, inWords(chosen, samples)), clear()),
      box("warn", leftOut(chosen.others, samples)),
      trouble,
      all.length > 0 && (samples.isImage ? thumbnails(all, addresses) : named(all, samples)),
      packed.length === 1 && grouped && folders,
      packed.length === 0 && grouped && hasFolders(all) && [folders, chosen.byFolder && groupList(samplesIn(all, samples), samples)],
      region && all.length > 0 && h("div", {}, h("h3", {}, "What counts of every one of these images"),
        polygon({ image: address(all[0].file, addresses), points: chosen.mask, onChange: (points) => { chosen.mask = points; tell(); } })));
    tell();
  }

  function tell() {
    fill(trouble, box("bad", problems(chosen, limits, { archives, region, samples })));
    onChange();
  }

  function clear() {
    return h("button", { type: "button", on: { click: () => { chosen = nothing(); draw(); } } }, "Start again");
  }

  function forgetAddresses() {
    for (const each of addresses.splice(0)) URL.revokeObjectURL(each);
  }

  const accept = [samples.accept, ...(archives ? samples.archives : [])].join(",");
  const zone = dropzone({ title, hint, accept, folders: true, signal, onFiles: take });
  return {
    node: h("div", { class: "stack" }, zone, shown),
    chosen: () => ({
      images: chosen.images,
      archive: chosen.archives[0]?.file ?? null,
      size: size(chosen),
      byFolder: chosen.byFolder && (chosen.archives.length > 0 || hasFolders(chosen.images)),
      mask: region && chosen.mask.length >= 3 ? [chosen.mask] : null,
      problems: problems(chosen, limits, { archives, region, samples }),
    }),
  };
}

const nothing = () => ({ images: [], archives: [], others: [], byFolder: false, mask: [] });
const size = (chosen) => [...chosen.images, ...chosen.archives].reduce((sum, { file }) => sum + file.size, 0);
/** Return the samples that files are: a file and its text are one. */
const samplesIn = (all, { pairs }) => (pairs ? paired(all) : all);
const hasFolders = (all) => all.some((each) => each.name.includes("/"));

function inWords({ images: all, archives: packed, ...chosen }, samples) {
  const parts = [all.length > 0 && counted(samplesIn(all, samples).length, samples.one), packed.length > 0 && packed.map((each) => each.file.name).join(", ")];
  return [...parts, bytes(size({ images: all, archives: packed, ...chosen }))].filter(Boolean).join(" · ");
}

/** Return why these cannot be sent, each with what to do. */
function problems({ images: all, archives: packed, mask, ...rest }, limits, { archives, region, samples }) {
  const { one, many } = samples;
  const total = size({ images: all, archives: packed, ...rest });
  const large = all.find(({ file }) => file.size > limits.max_image_bytes);
  return [
    packed.length > 0 && !archives && `Archives are not taken here: drop the ${many} themselves.`,
    packed.length > 1 && "One archive at a time: send the first, then add the next to what is known.",
    packed.length > 0 && all.length > 0 && `An archive goes alone: start again with either the archive or the ${many}.`,
    packed.length > 0 && archives && region && "This detector takes a region with its images, which an archive cannot carry: drop the images themselves.",
    samplesIn(all, samples).length > limits.max_job_images && `One job takes at most ${counted(limits.max_job_images, one)}: send some, then add the rest to what is known in further jobs.`,
    total > limits.max_upload_bytes && `One upload takes at most ${bytes(limits.max_upload_bytes)}, and this is ${bytes(total)}: send some, then add the rest to what is known, or copy the folder to the server and name it below.`,
    large && `${large.path} is larger than one ${one} may be (${bytes(limits.max_image_bytes)}): save it smaller, or leave it out.`,
    region && all.length > 0 && mask.length < 3 && "Draw the region that counts: three corners at least.",
  ].filter(Boolean);
}

function thumbnails(all, addresses) {
  const items = all.slice(0, SHOWN).map((each) => h("li", {}, thumbnail(each, addresses)));
  return h("div", { class: "stack tight" },
    h("ul", { class: "thumbnails", aria: { label: "Images" } }, items),
    all.length > SHOWN && h("p", { class: "muted small" }, `and ${count(all.length - SHOWN)} more`));
}

/** What is no picture: names and sizes. */
function named(all, { many }) {
  const items = all.slice(0, NAMED).map(({ file, name }) => h("li", {}, name, h("span", { class: "muted" }, ` ${bytes(file.size)}`)));
  return h("div", { class: "stack tight" },
    h("ul", { class: "named small", aria: { label: capital(many) } }, items),
    all.length > NAMED && h("p", { class: "muted small" }, `and ${count(all.length - NAMED)} more`));
}

function thumbnail({ file, name }, addresses) {
  const image = h("img", { loading: "lazy", decoding: "async", alt: name, title: name, src: address(file, addresses) });
  // Some kinds the service reads and the browser does not.
  image.addEventListener("error", () => image.replaceWith(h("div", { class: "unseen small", title: name }, name.split("/").at(-1))));
  return image;
}

function address(file, addresses) {
  addresses.push(URL.createObjectURL(file));
  return addresses.at(-1);
}

function groupList(all, { one }) {
  const found = groups(all.map((each) => each.name));
  const without = found.get("") ?? 0;
  const named = [...found].filter(([group]) => group !== "");
  return h("div", { class: "stack tight" },
    h("p", { class: "small" }, `${counted(named.length, "group")}:`),
    h("ul", { class: "pills", aria: { label: "Groups" } },
      named.slice(0, GROUPS_SHOWN).map(([group, images]) => h("li", { class: "badge wraps" }, `${group} · ${count(images)}`)),
      named.length > GROUPS_SHOWN && h("li", { class: "muted small" }, `and ${count(named.length - GROUPS_SHOWN)} more`)),
    without > 0 && box("note", [`${counted(without, one)} in no folder, and so in no group.`]));
}
