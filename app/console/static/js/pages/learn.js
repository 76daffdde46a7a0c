// (to be written)

import { ofDetector } from "./detector.js";
import { empty } from "../parts/states.js";

export const learn = ofDetector("learn", () => empty("Not there yet", "This page is being written."));
