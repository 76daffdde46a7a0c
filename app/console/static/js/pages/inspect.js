// (to be written)

import { ofDetector } from "./detector.js";
import { empty } from "../parts/states.js";

export const inspect = ofDetector("inspect", () => empty("Not there yet", "This page is being written."));
