"""Writes the settings in vscode-extension/package.json: ``python -m linnix_ls.generate_extension_settings``.

The server's settings are those of `config`, with their defaults, ranges and the words of its
docstrings; what only the extension needs is declared here. A test compares the committed file
with a fresh one. The rest of the file is written by hand and left as it is.
"""  # noqa: E501 - one command

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from linnix_ls.config import Settings
from linnix_ls.core.policy import Policy
from linnix_ls.generate_thresholds import reasons
from linnix_ls.thresholds import GROUPS

MANIFEST = Path(__file__).parents[1] / "vscode-extension" / "package.json"

# Of an untrusted workspace nothing counts that names a program, a file that is loaded, a folder to
# look into, a socket or a server, nor what decides where source is sent or who compiles it.
_RESTRICTED = ("path", "interpreter", "agent_socket", "watch_folders", "explain.", "playground.")

_STRINGS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}

# What is the extension's own business: the server ignores it.
EXTENSION_ONLY: dict[str, Any] = {
    "path": _STRINGS
    | {
        "default": [],
        "scope": "machine-overridable",
        "markdownDescription": "The command that starts the server, with its arguments: "
        '`["/opt/linnix/bin/linnix-ls"]`. Empty: it is looked for.',
    },
    "interpreter": _STRINGS
    | {
        "default": [],
        "scope": "machine-overridable",
        "markdownDescription": "The Python interpreter, with its arguments, in whose environment "
        "linnix-ls is installed. Counts where `#linnix.path#` is empty.",
    },
    "inline_text": {
        "type": "boolean",
        "default": True,
        "markdownDescription": "While a process is running away, say so at the end of its line.",
    },
    "label_runs": {
        "type": "boolean",
        "default": True,
        "markdownDescription": "Tell the server of tasks and of commands in terminals, so that "
        "runs are called what you call them.",
    },
    "trace.server": {
        "type": "string",
        "enum": ["off", "messages", "verbose"],
        "default": "off",
        "markdownDescription": "Write the messages between VS Code and the server to the log.",
    },
}


def configuration() -> dict[str, Any]:
    """What `contributes.configuration` is to be."""
    settings = EXTENSION_ONLY | server_settings()
    properties = {
        f"linnix.{name}": {"order": order, "scope": "window"} | setting
        for order, (name, setting) in enumerate(settings.items())
    }
    return {"title": "linnix", "properties": properties}


def server_settings() -> dict[str, Any]:
    """Those of every editor, by their names without ``linnix.``."""
    return _flat(Settings, "")


def restricted(properties: dict[str, Any]) -> list[str]:
    """The settings of which an untrusted workspace's are not honoured."""
    prefixes = tuple(f"linnix.{name}" for name in _RESTRICTED)
    return [name for name in properties if name.startswith(prefixes)]


def manifest(text: str) -> str:
    """The text of package.json with the settings in it anew."""
    content = json.loads(text)
    content["contributes"]["configuration"] = configuration()
    content["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"] = restricted(
        content["contributes"]["configuration"]["properties"]
    )
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _flat(model: type[BaseModel], prefix: str) -> dict[str, Any]:
    """A setting for each value, by its dotted name; thresholds are one, because there are many."""
    schema = model.model_json_schema()
    why = reasons(model)
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= _flat(inner, f"{prefix}{name}.")
            continue
        if inner is Policy:
            words = _sentence(why[name])
            found[name] = _thresholds(schema) | {"default": {}, "markdownDescription": words}
            continue
        default = field.get_default(call_default_factory=True)
        found[prefix + name] = _simple(schema["properties"][name], schema.get("$defs", {})) | {
            "default": list(default) if isinstance(default, tuple) else default,
            "markdownDescription": _sentence(why[name]),
        }
    return found


def _simple(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A schema as VS Code's settings editor understands it: no references, null as a type."""
    if reference := schema.get("$ref"):
        schema = {**definitions[reference.rpartition("/")[2]], **schema}
    choices = schema.get("anyOf", [])
    simple = {
        key: value
        for key, value in schema.items()
        if key not in ("anyOf", "title", "description", "default", "$ref", "propertyNames")
    }
    resolved = [_simple(choice, definitions) for choice in choices]
    for choice in resolved:
        simple |= {key: value for key, value in choice.items() if key not in ("type", "enum")}
        if names := [*simple.get("enum", []), *choice.get("enum", [choice.get("const")])]:
            simple["enum"] = [name for name in names if name is not None]
    if resolved:
        simple.pop("const", None)
        types = list(dict.fromkeys(choice["type"] for choice in resolved))
        simple["type"] = types[0] if len(types) == 1 else types
    if not simple.get("enum"):
        simple.pop("enum", None)
    if isinstance(extra := simple.get("additionalProperties"), dict):
        value = _simple(extra, definitions)
        names = _names_of(schema, definitions)
        simple["additionalProperties"] = False if names else value
        if names:
            simple["properties"] = dict.fromkeys(names, value)
    if isinstance(items := simple.get("items"), dict):
        simple["items"] = _simple(items, definitions)
    return simple


def _names_of(schema: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    """The names that an object may have, where they are known."""
    names: list[str] = _simple(schema.get("propertyNames", {}), definitions).get("enum", [])
    return names


def _thresholds(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema["$defs"]

    def of(properties: dict[str, Any], defaults: Any) -> dict[str, Any]:
        why = reasons(type(defaults))
        listed: dict[str, Any] = {}
        for name, each in properties.items():
            if name in GROUPS:
                inner = definitions[each["$ref"].rpartition("/")[2]]["properties"]
                listed[name] = of(inner, GROUPS[name])
            else:
                default = getattr(defaults, name)
                listed[name] = _simple(each, definitions) | {
                    "default": list(default) if isinstance(default, tuple) else default,
                    "markdownDescription": why[name],
                }
        return {"type": "object", "additionalProperties": False, "properties": listed}

    return of(definitions["Policy"]["properties"], Policy())


def _sentence(words: str) -> str:
    text = re.sub(r"``(.+?)``", r"`\1`", words)
    return text if text.endswith(".") else f"{text}."


if __name__ == "__main__":
    MANIFEST.write_text(manifest(MANIFEST.read_text()))
