"""npm, pnpm and yarn: which script of package.json runs. It says only that something is tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from linnix_ls.locate.runners.base import FoundTest, Process, Scope, is_of_tests
from linnix_ls.locate.script import line_of_npm_script

_AROUND_TESTS = frozenset({"pretest", "posttest"})
_AGENTS = frozenset({"npm", "pnpm", "yarn", "bun"})


class NpmRunner:
    """See `locate.runners.base.Runner`."""

    variables = frozenset({"npm_lifecycle_event", "npm_package_json", "npm_config_user_agent"})

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        script = process.variables.get("npm_lifecycle_event", "")
        if not is_of_tests(script) and script not in _AROUND_TESTS:
            return None
        agent = process.variables.get("npm_config_user_agent", "").partition("/")[0]
        command = agent if agent in _AGENTS else "npm"
        package = process.variables.get("npm_package_json", "")
        at = line_of_npm_script(script, package, 0.5)
        return FoundTest(
            f"{command} test" if script in {"test", *_AROUND_TESTS} else f"{command} run {script}",
            Scope.COMMAND,
            replace(at, role="test") if at else None,
        )
