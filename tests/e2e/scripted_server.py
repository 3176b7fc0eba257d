"""A language server on stdio with a feed in memory, for what an editor does with what it is told.

The first argument is the file that is accused. Names are as hostile as a process can choose them;
after the word "payloads" there is a finding in each line, of each hostile text in the table of
`tests.fuzz.test_surfaces`.
"""

import asyncio
import sys
from dataclasses import replace

from linnix_ls.core.findings import Edit, Note, Patch
from linnix_ls.core.ids import ProcessKey
from linnix_ls.feed.base import ProcessView
from linnix_ls.lsp.server import serve_connection
from linnix_ls.lsp.stdio import claim_stdio
from tests.lsp.memory_feed import MemoryFeed, a_finding, a_process

EVIL = "e\n%{system('touch /tmp/x')}%#Error#\x1b[2J\x9b\u202e"


def a_view(pid, parent, comm, *argv):
    return ProcessView(
        key=ProcessKey(pid, pid * 100),
        parent=parent and ProcessKey(parent, parent * 100),
        run=ProcessKey(4400, 440000),
        comm=comm,
        argv=argv or (comm,),
        cwd="/",
        on_cpu_cores=0.5,
        age_s=4.0,
        exit_code=None,
        term_signal=None,
        has_ended=False,
    )


def feed_of_payloads():
    """Every other one in our words about what is hostile; of the others all words are."""
    from tests.fuzz.test_surfaces import PAYLOADS, explained, said

    findings = {}
    for n, payload in enumerate(PAYLOADS.values(), 1):
        finding = (said if n % 2 else explained)(payload)
        place = replace(finding.location, path=sys.argv[1], line=n)
        process = replace(finding.process, key=ProcessKey(4400 + n, 1))
        findings[f"f{n}"] = replace(finding, id=f"f{n}", location=place, process=process)
    return MemoryFeed(findings)


def feed_of_one():
    finding = a_finding(sys.argv[1])
    assert finding.explanation
    finding = replace(
        finding,
        process=a_process(4412, EVIL, "python3", EVIL),
        explanation=replace(
            finding.explanation,
            summary=f"it polls {EVIL}",
            note=Note(
                f"small {EVIL}",
                f"Wait {EVIL}",
                ("e1",),
                Patch(
                    "m", "Wait", (Edit(sys.argv[1], 3, "        pass", f"        wait({EVIL})"),)
                ),
            ),
        ),
    )
    feed = MemoryFeed({"f1": finding})
    feed.processes = (
        a_view(4400, None, "pytest", "pytest", "-q"),
        a_view(4412, 4400, EVIL, "python3", EVIL),
        *(a_view(pid, 4400, "cc1plus") for pid in range(4420, 4468)),
    )
    return feed


async def main():
    feed = feed_of_payloads() if "payloads" in sys.argv else feed_of_one()

    async def open_feed(settings, *, on_progress):
        return feed

    return await serve_connection(open_feed, *claim_stdio())


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
