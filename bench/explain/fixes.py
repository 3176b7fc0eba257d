"""How many runaways of the corpus get a patch by a rule, and how many of these verify.

    python -m bench.explain.fixes [--corpus DIR]... [--case ID]... [--propose-only]

The place is the labelled one; the patches are tried as an editor would have them tried, up to the
first that verifies. Needs what the cases need, and root for eBPF. Half a minute a patch.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

from bench.accuracy import CORPUS, venv_of
from linnix_ls.config import FixSettings
from linnix_ls.core.findings import (
    Cause,
    Finding,
    Kind,
    ProcessInfo,
    Severity,
    SourceLocation,
)
from linnix_ls.core.ids import ProcessKey
from linnix_ls.fixes.base import Outcome
from linnix_ls.fixes.fixer import propose, try_patch

BENIGN = "benign"


def finding_of(label: dict[str, Any], folder: Path) -> Finding:
    """What a perfect watcher would have found, without the test's name: all tests are run."""
    place = label["culprit"]
    run = ProcessInfo(
        ProcessKey(1, 1), None, os.getuid(), label["runner"], None, tuple(label["cmd"]), str(folder)
    )
    return Finding(
        id=label["id"],
        kind=Kind(label["label"].replace("-", "_")),
        cause=Cause(label["cause"].replace("-", "_")),
        severity=Severity.WARNING,
        confidence=1.0,
        process=run,
        ancestry=(),
        run=run.key,
        location=SourceLocation(str(folder / place["file"]), place["line"]),
        other_locations=(),
        test=None,
        onset_ns=0,
        flagged_ns=0,
        ended_ns=None,
        evidence=(),
        explanation=None,
    )


def text_of(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


async def measure(folder: Path, label: dict[str, Any], *, is_trying: bool) -> tuple[int, str]:
    """The number of patches, and what came of them, in words."""
    with tempfile.TemporaryDirectory(prefix="linnix-fixes-") as scratch:
        copy = Path(scratch, folder.name)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("case.toml"))
        finding = finding_of(label, copy)
        patches = propose(finding, text_of)
        said = []
        for patch in patches if is_trying else ():
            began_s = time.monotonic()
            trial = await try_patch(
                finding,
                patch,
                folders=[str(copy)],
                text_of=text_of,
                settings=FixSettings(time_limit_s=60),
            )
            took_s = time.monotonic() - began_s
            said.append(f"{trial.outcome} in {took_s:.0f} s: {patch.title}")
            if trial.outcome is Outcome.VERIFIED:
                break
            said.append(f"    {trial.message}")
        return len(patches), "\n    ".join(said or [patch.title for patch in patches])


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.explain.fixes", description="Try fixes by rules.")
    parser.add_argument("--corpus", action="append", type=Path, default=[])
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--propose-only", action="store_true")
    options = parser.parse_args()
    n_runaways = n_proposed = n_verified = 0
    for corpus in options.corpus or [CORPUS]:
        os.environ["PATH"] = f"{venv_of(corpus)}/bin:{os.environ['PATH']}"
        for path in sorted(corpus.glob("runaway/*/case.toml")):
            label = tomllib.loads(path.read_text())
            if label["label"] == BENIGN or (options.case and label["id"] not in options.case):
                continue
            n, said = asyncio.run(measure(path.parent, label, is_trying=not options.propose_only))
            n_runaways += 1
            n_proposed += n > 0
            n_verified += "verified in" in said
            print(f"{label['id']:24}{label['label']}/{label['cause']}: {n}\n    {said}", flush=True)
    print(f"{n_runaways} runaways, {n_proposed} with a patch, {n_verified} with a verified one")


if __name__ == "__main__":
    main()
