// (to be written)

import { ofDetector } from "./detector.js";
import { empty } from "../parts/states.js";

export const history = ofDetector("history", () => empty("Not there yet", "This page is being written."));
