"""Everything else that is told a file on its command line: interpreters of other languages,
npm's scripts, compilers."""

from __future__ import annotations

import json
import os
import re

from linnix_ls.core.examination import PlaceHint, ProcessFacts
from linnix_ls.core.tree import script_argument
from linnix_ls.locate.base import Reading
from linnix_ls.locate.source import is_user_file, line_of, read_lines, resolve

_SOURCE_SUFFIXES = tuple(
    [
        ".c",
        ".cc",
        ".cpp",
        ".cxx",
        ".c++",
        ".m",
        ".mm",
        ".rs",
        ".go",
        ".java",
        ".kt",
        ".swift",
        ".f90",
        ".f",
        ".zig",
        ".d",
        ".pas",
        ".hs",
        ".ml",
        ".ts",
    ]
)
_NPM_NAMES = frozenset({"npm", "npm-cli.js", "pnpm", "yarn", "yarn.js"})
_NPM_IMPLIED = frozenset({"test", "start", "stop", "restart"})


class ScriptReader:
    """See `locate.base.LanguageReader`. The last in the registry: it recognises everything."""

    language = "script"

    def recognises(self, facts: ProcessFacts) -> bool:
        return True

    async def read(self, facts: ProcessFacts, *, n_looks: int, interval_s: float) -> Reading:
        hint = _npm_script(facts) or _script(facts) or _compiled_file(facts)
        return Reading(self.language, hints=(hint,) if hint else ())


def _npm_script(facts: ProcessFacts) -> PlaceHint | None:
    words = [os.path.basename(word) for word in facts.argv]
    # npm renames itself: its whole command line becomes "npm run build".
    if len(words) == 1:
        words = words[0].split()
    if words[:1] == ["node"]:
        words = words[1:]
    if not words or words[0] not in _NPM_NAMES:
        return None
    arguments = [word for word in words[1:] if not word.startswith("-")]
    if arguments[:1] and arguments[0] in ("run", "run-script"):
        arguments = arguments[1:]
    elif not (arguments and arguments[0] in _NPM_IMPLIED):
        return None
    package = _above(facts.cwd, "package.json")
    if package is None or not arguments:
        return None
    name = arguments[0]
    try:
        scripts = json.loads("\n".join(read_lines(package))).get("scripts", {})
    except (ValueError, AttributeError):
        return None
    line = line_of(package, rf"^\s*{re.escape(json.dumps(name))}\s*:") if name in scripts else None
    return PlaceHint(package, line, None, 0.7, f"the npm script {name}") if line else None


def _above(folder: str | None, name: str) -> str | None:
    for _ in range(32):
        if folder is None or folder == "/":
            return None
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
        folder = os.path.dirname(folder)
    return None


def _script(facts: ProcessFacts) -> PlaceHint | None:
    path = resolve(script_argument(facts.argv) or "", facts.cwd)
    if path is None or not is_user_file(path):
        return None
    return PlaceHint(path, 1, None, 0.4, "the script that it runs")


def _compiled_file(facts: ProcessFacts) -> PlaceHint | None:
    for argument in facts.argv[1:]:
        if argument.endswith(_SOURCE_SUFFIXES) and not argument.startswith("-"):
            path = resolve(argument, facts.cwd)
            if path is not None and is_user_file(path):
                return PlaceHint(path, 1, None, 0.5, "the file that it works on")
    return None
