"""Findings as the engine makes them of recordings, with their sources from the corpus."""

import functools
from dataclasses import replace

from linnix_ls.explain import excerpt
from linnix_ls.tracer.trace_file import read_trace
from tests.traces import record
from tests.traces.record import CORPUS_TRACES, WORKPLACE, corpus_folders


@functools.cache
def found(name):
    """The first finding in a recording of the corpus."""
    return record.replayed(read_trace(CORPUS_TRACES / f"{name}.trace"))[0]


def text_of(path):
    """A recorded path's text: from where the corpus is here."""
    name, _, rest = path.removeprefix(f"{WORKPLACE}/").partition("/")
    return excerpt.text_on_disk(str(corpus_folders()[name] / rest))


@functools.cache
def source_of(name):
    return excerpt.read(found(name), text_of)


def with_text(name, text, line=None):
    """The finding, and an excerpt from another text of its file."""
    finding = found(name)
    if line is not None:
        finding = replace(finding, location=replace(finding.location, line=line))
    return finding, excerpt.read(finding, lambda _: text)
