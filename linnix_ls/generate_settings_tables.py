"""Writes the tables of settings in docs: ``python -m linnix_ls.generate_settings_tables``.

From the same declaration as those of VS Code (`generate_extension_settings`): what every editor
has into docs/lsp.md, what only the extension has into its README, between two comments there. A
test compares the committed pages with fresh ones.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from linnix_ls.generate_extension_settings import EXTENSION_ONLY, server_settings

_ROOT = Path(__file__).parents[1]

BEGIN = "<!-- Generated from linnix_ls by `make generate`. Do not edit. -->"
END = "<!-- End of what is generated. -->"

PAGES: dict[Path, dict[str, Any]] = {
    _ROOT / "docs" / "lsp.md": server_settings(),
    _ROOT / "vscode-extension" / "README.md": EXTENSION_ONLY,
}

_TYPES = {
    "boolean": "boolean",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "array": "list of texts",
    "object": "object",
    "null": "`null`",
}


def page(text: str, settings: dict[str, Any]) -> str:
    """The text of a page with its table anew.

    Raises:
        ValueError: it has no place for one.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("there is no place for the table of settings")
    return f"{before}{BEGIN}\n\n{table(settings)}\n{END}{after}"


def table(settings: dict[str, Any]) -> str:
    """A row for each setting."""
    rows = ["| setting | values | default | meaning |", "|---|---|---|---|"]
    for name, setting in settings.items():
        meaning = re.sub(r"`#(linnix\.[\w.]+)#`", r"`\1`", setting["markdownDescription"])
        default = json.dumps(setting["default"])
        cells = [f"`linnix.{name}`", _values(setting), f"`{default}`", meaning]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _values(setting: dict[str, Any]) -> str:
    if "enum" in setting:
        return ", ".join(f"`{value}`" for value in setting["enum"])
    names = setting["type"] if isinstance(setting["type"], list) else [setting["type"]]
    limits = [
        f"{words} {setting[key]:g}"
        for key, words in {
            "exclusiveMinimum": "more than",
            "minimum": "at least",
            "maximum": "at most",
        }.items()
        if key in setting
    ]
    of_kinds = {_values(each) for each in setting.get("properties", {}).values() if "enum" in each}
    if of_kinds:
        limits.append(f"from {', '.join(f'`{name}`' for name in setting['properties'])}")
        limits.append(f"to {of_kinds.pop()}")
    return ", ".join([" or ".join(_TYPES[name] for name in names), *limits])


if __name__ == "__main__":
    for path, of_page in PAGES.items():
        path.write_text(page(path.read_text(), of_page))
