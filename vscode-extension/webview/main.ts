// Where the details view begins inside VS Code.

import { mount } from "./view";
import { vscodeSource } from "./vscode";

const place = document.getElementById("details");
if (place) {
  mount(place, vscodeSource());
}
