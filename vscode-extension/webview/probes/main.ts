// Where the probe view begins inside VS Code.

import { vscodeSource } from "../vscode";
import { parseToView } from "./messages";
import { mount } from "./view";

const place = document.getElementById("page");
if (place) {
  mount(place, vscodeSource(parseToView));
}
