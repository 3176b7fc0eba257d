"""One configuration file: `key = value` lines, comments, and `include NAME`."""
from dataclasses import dataclass, field


@dataclass
class Entry:
    key: str
    value: str
    line: int


@dataclass
class Document:
    path: str
    entries: list = field(default_factory=list)
    includes: list = field(default_factory=list)


def parse(path, text):
    doc = Document(str(path))
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        if line.startswith("include "):
            doc.includes.append(line.split(None, 1)[1])
            continue
        key, _, value = line.partition("=")
        doc.entries.append(Entry(key.strip(), value.strip(), number))
    return doc
