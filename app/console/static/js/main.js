// The beginning: who is there, and which page is behind which address.

import { get } from "./api.js";
import { audit } from "./pages/audit.js";
import { detectors } from "./pages/detectors.js";
import { drift } from "./pages/drift.js";
import { history } from "./pages/history.js";
import { inspect } from "./pages/inspect.js";
import { jobs } from "./pages/jobs.js";
import { keys } from "./pages/keys.js";
import { learn } from "./pages/learn.js";
import { newDetector } from "./pages/new_detector.js";
import { signIn } from "./pages/sign_in.js";
import { threshold } from "./pages/threshold.js";
import { versions } from "./pages/versions.js";
import { mayLeave, route } from "./router.js";
import * as session from "./session.js";
import { failure } from "./parts/states.js";
import { fill } from "./dom.js";
import { shell } from "./shell.js";

const PAGES = [
  ["/detectors", detectors],
  ["/new", newDetector],
  ["/detectors/:name/learn", learn],
  ["/detectors/:name/threshold", threshold],
  ["/detectors/:name/inspect", inspect],
  ["/detectors/:name/history", history],
  ["/detectors/:name/drift", drift],
  ["/detectors/:name/versions", versions],
  ["/jobs", jobs],
  ["/audit", audit],
  ["/keys", keys],
];

const header = document.getElementById("header");
const main = document.getElementById("main");
const { show, leave } = route(main, PAGES, arrive);
let isAsking = false;

function arrive(where) {
  if (session.me === null) askForKey("");
  else shell(header, where, () => mayLeave() && askForKey(""));
  return session.me !== null;
}

function askForKey(why) {
  if (isAsking) return; // several requests of a page may be refused
  isAsking = true;
  leave();
  session.end();
  shell(header, "", () => {});
  signIn(main, why, () => {
    isAsking = false;
    show();
  });
}

async function begin() {
  try {
    // Where no key is needed, none is asked for.
    session.begin("", await get("/v1/me"));
    await show();
  } catch (error) {
    if (error.status !== 401) fill(main, failure(error, begin));
  }
}

window.addEventListener("signed-out", (event) => askForKey(session.key() === "" ? "" : event.detail));
// A file that is dropped beside its zone would take the place of the console.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
await begin();
