"""Everything else that is told a file on its command line, and npm's scripts."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from itertools import pairwise

from linnix_ls import procfs
from linnix_ls.core.examination import PlaceHint, ProcessFacts
from linnix_ls.core.tree import SHELLS, program_name, script_argument
from linnix_ls.locate.base import Reading
from linnix_ls.locate.lineage import generations, index_before_repetition
from linnix_ls.locate.source import is_user_file, line_of, read_lines, resolve
from linnix_ls.sources import is_file

_NPM_NAMES = frozenset({"npm", "npm-cli.js", "pnpm", "pnpm.cjs", "yarn", "yarn.js"})
_NPM_IMPLIED = frozenset({"test", "start", "stop", "restart"})
_NPM_VARIABLES = re.compile(rb"(?:^|\0)(npm_lifecycle_event|npm_package_json)=([^\0]*)")
MAX_CHILDREN = 8


class ScriptReader:
    """See `locate.base.LanguageReader`. The last in the registry: it recognises everything."""

    language = "script"

    def recognises(self, facts: ProcessFacts) -> bool:
        return True

    async def read(self, facts: ProcessFacts, *, n_looks: int, interval_s: float) -> Reading:
        hint = _npm_script(facts) or _script(facts) or _script_of_shell(facts)
        return Reading(self.language, hints=(hint,) if hint else ())


def _npm_script(facts: ProcessFacts) -> PlaceHint | None:
    """For npm and its kin: the script in package.json that runs, or that they were told to run."""
    words = _npm_words(facts)
    if not words:
        return None
    if circle := _script_that_closes_circle(facts):
        return circle
    for child in procfs.children_of(facts.key.pid)[:MAX_CHILDREN]:
        # It may have come to the "pre" or "post" script of the one that was asked for.
        if (running := _npm_variables(child)) and (hint := line_of_npm_script(*running, 0.75)):
            return hint
    arguments = [word for word in words[1:] if not word.startswith("-")]
    if arguments[:1] and arguments[0] in ("run", "run-script"):
        arguments = arguments[1:]
    elif not (arguments and arguments[0] in _NPM_IMPLIED):
        return None
    package = _above(facts.cwd, "package.json")
    if package is None or not arguments:
        return None
    return line_of_npm_script(arguments[0], package, 0.7)


def _npm_words(facts: ProcessFacts) -> list[str]:
    """The command line of npm and its kin, their own names first; [] for others."""
    words = [os.path.basename(word) for word in facts.argv]
    # npm renames itself: its whole command line becomes "npm run build".
    if len(words) == 1:
        words = words[0].split()
    if words[:1] == ["node"]:
        words = words[1:]
    return words if words[:1] and words[0] in _NPM_NAMES else []


def _script_of_shell(facts: ProcessFacts) -> PlaceHint | None:
    """For the shell that npm gives a script's text to."""
    if program_name(facts.argv) not in SHELLS:
        return None
    running = _npm_variables(facts.key.pid)
    if running is None:
        return None
    return _script_that_closes_circle(facts) or line_of_npm_script(*running, 0.5)


def _script_that_closes_circle(facts: ProcessFacts) -> PlaceHint | None:
    """Among npm's scripts that run one another: the one that runs an earlier one again."""
    scripts = [
        running
        for parent, process in pairwise(generations(facts.key.pid))
        # What a script runs inherits its variables.
        if _npm_words(parent) and (running := _npm_variables(process.key.pid))
    ]
    index = index_before_repetition(scripts)
    if index is None:
        return None
    hint = line_of_npm_script(*scripts[index], 0.85)
    return replace(hint, reason=f"{hint.reason} runs an earlier one again") if hint else None


def _npm_variables(pid: int) -> tuple[str, str] | None:
    """The name of the npm script that a process belongs to, and its package.json."""
    found = dict(_NPM_VARIABLES.findall(procfs.read_environ(pid) or b""))
    if len(found) != 2:
        return None
    return (
        procfs.text(found[b"npm_lifecycle_event"]),
        procfs.text(found[b"npm_package_json"]),
    )


def line_of_npm_script(name: str, package: str, confidence: float) -> PlaceHint | None:
    """Where package.json has the script of that name."""
    if not is_user_file(package):
        return None
    try:
        is_there = name in json.loads("\n".join(read_lines(package)))["scripts"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None  # no package.json, whatever it is called
    line = line_of(package, rf"^\s*{re.escape(json.dumps(name))}\s*:") if is_there else None
    return PlaceHint(package, line, None, confidence, f"the npm script {name}") if line else None


def _above(folder: str | None, name: str) -> str | None:
    for _ in range(32):
        if folder is None or folder == "/":
            return None
        if is_file(os.path.join(folder, name)):
            return os.path.join(folder, name)
        folder = os.path.dirname(folder)
    return None


def _script(facts: ProcessFacts) -> PlaceHint | None:
    path = resolve(script_argument(facts.argv) or "", facts.cwd)
    if path is None or not is_user_file(path):
        return None
    return PlaceHint(path, 1, None, 0.4, "the script that it runs")
