"""Loads a configuration file together with all that it includes."""
from .parser import parse


def collect(path):
    """The documents, in the order in which their entries apply."""
    documents = []
    pending = [path]
    while pending:
        current = pending.pop(0)
        doc = parse(current, current.read_text())
        documents.append(doc)
        pending.extend(current.parent / name for name in doc.includes)
    return documents


def load(path):
    settings = {}
    for doc in collect(path):
        for entry in doc.entries:
            settings.setdefault(entry.key, entry.value)
    return settings
