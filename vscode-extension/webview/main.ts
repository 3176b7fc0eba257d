// Where the details view begins inside VS Code.

import { parseToView } from "./messages";
import { mount } from "./view";
import { vscodeSource } from "./vscode";

const place = document.getElementById("page");
if (place) {
  mount(place, vscodeSource(parseToView));
}
