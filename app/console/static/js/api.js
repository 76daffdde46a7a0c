// Requests to the service: the key in a header, answers as JSON, problems as errors.

import * as session from "./session.js";

const TRIES = 3;
const LONGEST_WAIT_S = 10;

/** What the service answered instead of what was asked for (RFC 9457), or why it did not. */
export class Problem extends Error {
  constructor({ status = 0, title = "", detail = "", ...rest }) {
    super(detail || title || `The service answered ${status}.`);
    this.name = "Problem";
    this.status = status;
    this.title = title || "The request failed";
    this.detail = detail;
    this.rest = rest;
  }
}

/** Return a path with its parts encoded: path`/v1/detectors/${name}/drift`. */
export function path(fixed, ...parts) {
  return fixed.reduce((done, next, i) => done + encodeURIComponent(parts[i - 1]) + next);
}

export const get = (at, options = {}) => request("GET", at, options);
export const post = (at, options = {}) => request("POST", at, options);
export const put = (at, options = {}) => request("PUT", at, options);
export const remove = (at, options = {}) => request("DELETE", at, options);

/**
 * Ask, and return the answer's JSON; null if it is empty, a Blob if it is none.
 * What changes nothing (GET) is tried again when the service says that it is busy.
 * @param {{query?: Object, json?: any, body?: BodyInit, type?: string, signal?: AbortSignal}} options
 *   `json` becomes the body as JSON; `body` goes as it is, `type` being its media type. Of `query`
 *   what is null, undefined or "" is left out.
 * @throws {Problem} whatever goes wrong, but an AbortError once the signal says to stop.
 */
export async function request(method, at, options = {}) {
  for (let tries = 1; ; tries += 1) {
    const response = await send(method, at, options);
    if (response.ok) return content(response);
    const wait_s = Number(response.headers.get("retry-after") ?? NaN);
    if (method !== "GET" || tries === TRIES || !(wait_s <= LONGEST_WAIT_S)) throw await problem(response);
    await pause(wait_s, options.signal);
  }
}

/** Return the answer to a request as it comes, for bodies that are read bit by bit. */
export async function stream(at, { headers = {}, signal } = {}) {
  const response = await send("GET", at, { headers, signal });
  if (!response.ok) throw await problem(response);
  return response;
}

/**
 * Send a large body, and tell how far it is.
 * @param {(share: number) => void} onProgress with the share of it that has gone.
 */
export function upload(method, at, { query = {}, body, type, headers = {}, signal, onProgress }) {
  const sent = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    sent.open(method, address(at, query));
    for (const [name, value] of Object.entries(authorised({ ...headers, ...(type ? { "Content-Type": type } : {}) }))) {
      sent.setRequestHeader(name, value);
    }
    sent.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded / event.total);
    sent.onload = () => {
      try {
        if (sent.status < 300) resolve(sent.responseText ? JSON.parse(sent.responseText) : null);
        else reject(told(sent.status, sent.responseText));
      } catch {
        reject(told(sent.status, sent.responseText)); // no answer of the service, but of a proxy
      }
    };
    sent.onerror = () => reject(unreachable());
    sent.onabort = () => reject(new DOMException("The upload was stopped.", "AbortError"));
    signal?.addEventListener("abort", () => sent.abort());
    sent.send(body);
  });
}

/** Wait; the signal ends it early, as an AbortError. */
export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const end = (finish) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      finish();
    };
    const stop = () => end(() => reject(new DOMException("No longer wanted.", "AbortError")));
    const timer = setTimeout(() => end(resolve), 1000 * seconds);
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
  });
}

async function send(method, at, { query = {}, json, body, type, headers = {}, signal }) {
  const kind = json === undefined ? type : "application/json";
  try {
    return await fetch(address(at, query), {
      method,
      body: json === undefined ? body : JSON.stringify(json),
      headers: authorised({ ...headers, ...(kind ? { "Content-Type": kind } : {}) }),
      credentials: "omit", // a key in a header is all there is: no other site can send it
      cache: "no-store",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
}

function address(at, query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  // The service may stand below a path of another server: the console's own address tells.
  return new URL(`..${at}`, document.baseURI).pathname + (text ? `?${text}` : "");
}

function authorised(headers) {
  const key = session.key();
  return key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
}

async function content(response) {
  const type = response.headers.get("content-type") ?? "";
  if (response.status === 204) return null;
  try {
    return await (type.includes("json") ? response.json() : response.blob());
  } catch (error) {
    throw error.name === "AbortError" ? error : unreachable(); // it broke off in the middle
  }
}

async function problem(response) {
  return told(response.status, await response.text());
}

function told(status, text) {
  let known = {};
  try {
    known = JSON.parse(text);
  } catch {
    known = { title: `The service answered ${status}`, detail: text.slice(0, 300) };
  }
  const failed = new Problem({ ...known, status });
  if (status === 401) window.dispatchEvent(new CustomEvent("signed-out", { detail: failed.message }));
  return failed;
}

function unreachable() {
  return new Problem({
    title: "The service cannot be reached",
    detail: "The service cannot be reached. Is it running, and is this machine connected? Nothing was lost here: try again.",
  });
}
