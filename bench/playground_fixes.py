"""Which refusals of the broken test programs get a fix that the verifier accepts, and how fast.

    .venv/bin/python -m bench.playground_fixes [--show] [NAME…]

Needs root: every proposal is compiled and loaded on trial. Of the fixes offered each is loaded once
more from its edits, as an editor would apply them.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import statistics
import time
from pathlib import Path

from linnix_ls.config import cache_dir
from linnix_ls.fixes.text import apply
from linnix_ls.playground.base import Checked, Severity
from linnix_ls.playground.dialect import dialect_of
from linnix_ls.playground.mending import fixes
from linnix_ls.playground.remedies import proposals
from linnix_ls.playground.service import LocalPlayground

PROGRAMS = Path(__file__).parents[1] / "tests/playground/programs"


async def measure(names: list[str], *, is_showing: bool) -> None:
    playground = LocalPlayground(cache_dir(), is_privileged=True)
    n_errors = n_proposed = n_offered = n_loaded = 0
    took_s = []
    for path in sorted(PROGRAMS.glob("*.bpf.c")):
        if path.name.startswith(("ok-", "danger-")) or (names and path.stem[:-4] not in names):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")

        async def check(source: str) -> Checked:
            return await playground.check(dialect_of(source), "bench", source)

        checked = await check(text)
        errors = [each for each in checked.problems if each.severity is Severity.ERROR]
        n_errors += 1
        n_proposed += any(proposals(text, each) for each in errors)
        began_s = time.monotonic()
        found = [fix async for fix in fixes(str(path), text, checked, check)]
        took_s += [time.monotonic() - began_s] if found else []
        n_offered += bool(found)
        print(
            f"{path.name:32} {errors[0].code:28} {'; '.join(f.patch.title for f in found) or '-'}"
        )
        for fix in found:
            after = apply(text, fix.patch.edits)
            again = await check(after)
            n_loaded += fix.problem.message not in {each.message for each in again.problems} or (
                len(again.problems) < len(checked.problems)
            )
            if is_showing:
                changed = difflib.unified_diff(
                    text.splitlines(), after.splitlines(), n=1, lineterm=""
                )
                print("\n".join(list(changed)[2:]))
    print(f"\n{n_errors} refused programs; {n_proposed} with a proposal; {n_offered} with a fix")
    if took_s:
        print(f"a fix takes {statistics.median(took_s):.2f} s (median), {max(took_s):.2f} s (most)")
    print(f"{n_loaded} fixes loaded again from their edits")
    await playground.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="the fixes as diffs")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    asyncio.run(measure(args.names, is_showing=args.show))


if __name__ == "__main__":
    main()
