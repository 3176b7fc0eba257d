"""Of all types of the kernel, those that a source can reach: what a compiler need not read takes
no time.

BCC parses what it is given several times over, and a kernel describes some ten thousand types, of
which a probe uses a dozen and what these consist of. A type is reached when the source names it,
when one that is reached contains it, or when the source names the field that points to it.

That is a guess about text, not a parser of C. What comes of it may declare too little, never
anything else than the whole: who compiles with it tries again with the whole if anything is
amiss (`check_worker`).
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

# A definition of the dump begins at the margin and ends with the next line there that has a ";".
_DEFINITION = re.compile(r"^(?:[a-z].*;\n|[a-z].*\{\n(?:[ \t].*\n|\n)*\}.*;\n)", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w*")
_HEAD = re.compile(r"(struct|union|enum) (\w+)")
_TAG = re.compile(r"\b(?:struct|union) (\w+)")
_TYPEDEF = re.compile(r"\(\*(\w+)\)|\b(\w+)(?:\[\d*\])*;\n\Z|\b(\w+)\(.*\);\n\Z")
_FIELD = re.compile(r"\(\*(\w+)\)|(\w+)(?:\[\d*\])*(?: ?: ?\d+)?(?: __attribute__\(.*\))?;")
_ENUMERATOR = re.compile(r"^\t(\w+)(?: = -?\w+)?,$", re.MULTILINE)
# What BCC's own headers are made of, and what they are preceded by.
_ALWAYS = re.compile(r"bpf_\w+|BPF_\w+|__?[suib]e?\d+|[su]\d+|u?int\d+_t|pt_regs|__sk_buff|xdp_md")
_ALWAYS_TOO = frozenset(
    "bool true false size_t ssize_t uintptr_t sa_family_t in_addr in6_addr pid_t uid_t gid_t"
    " __kernel_size_t __sk_buff sk_msg_md sk_reuseport_md".split()
)
_NAMED_BY_HELPERS = (
    "btf_ptr sk_buff sock sockaddr task_struct cgroup seq_file path inode file linux_binprm socket"
    " tcp_sock tcp6_sock udp6_sock tcp_timewait_sock tcp_request_sock mptcp_sock unix_sock iphdr"
    " ipv6hdr tcphdr"
).split()


@dataclass(frozen=True)
class Index:
    """Of a dump of all types. Definitions go by their number.

    Attributes:
        spans: where each begins and ends.
        places: by name, those that declare it.
        contained: of each, those that have to come before it.
        pointed: of each, by field, those that it points to.
        always: those that any source gets.
        tags: by number, ``struct name``.
    """

    spans: list[tuple[int, int]]
    places: dict[str, list[int]]
    contained: list[list[int]]
    pointed: list[dict[str, list[int]]]
    always: list[int]
    tags: dict[str, str]

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    def needed(self, declarations: str, words: Iterable[str]) -> str:
        """The declarations that a source of these words needs, in the dump's order."""
        return _reached(
            declarations, self, words, lambda at: (self.contained[at], self.pointed[at])
        )


# Of a definition: those that have to come before it, and by field those that it points to.
_Dependencies = tuple[Iterable[int], Mapping[str, Iterable[int]]]


def _reached(
    declarations: str,
    index: Index,
    words: Iterable[str],
    dependencies: Callable[[int], _Dependencies],
) -> str:
    named = frozenset(words)
    waiting = index.always + [at for name in named for at in index.places.get(name, ())]
    reached = set(waiting)
    forward: set[int] = set()
    while waiting:
        contained, pointed = dependencies(waiting.pop())
        wanted = list(contained)
        for field, those in pointed.items():
            forward.update(those)
            if field in named:
                wanted += those
        for at in wanted:
            if at not in reached:
                reached.add(at)
                waiting.append(at)
    # Else a parameter's type would be declared within the parameters.
    tags = {index.tags[str(at)] for at in forward if str(at) in index.tags}
    tags |= {f"struct {name}" for name in _NAMED_BY_HELPERS}
    chosen = (index.spans[at] for at in sorted(reached))
    return "".join(f"{tag};\n" for tag in sorted(tags)) + "".join(
        declarations[start:end] for start, end in chosen
    )


def needed_once(declarations: str, words: Iterable[str]) -> str:
    """What `Index.needed` tells, for one source: only what that reaches is looked at."""
    index = _places_of(declarations)

    def dependencies(at: int) -> _Dependencies:
        start, end = index.spans[at]
        within, behind = _dependencies(declarations[start:end], index.places)
        return sorted(within - {at}), {field: sorted(those) for field, those in behind.items()}

    return _reached(declarations, index, words, dependencies)


def index_of(declarations: str) -> Index:
    """Of a dump by bpftool."""
    index = _places_of(declarations)
    for at, (start, end) in enumerate(index.spans):
        within, behind = _dependencies(declarations[start:end], index.places)
        index.contained.append(sorted(within - {at}))
        index.pointed.append({field: sorted(those) for field, those in behind.items()})
    return index


def _places_of(declarations: str) -> Index:
    """Without what depends on what, which takes most of the time."""
    index = Index([], {}, [], [], [], {})
    for at, found in enumerate(_DEFINITION.finditer(declarations)):
        index.spans.append(found.span())
        names = _names(found[0])
        for name in names:
            index.places.setdefault(name, []).append(at)
        # Fields of tracepoints are of such types, and no source names those.
        is_simple = re.fullmatch(r"typedef [\w ]+;\n", found[0]) and not _TAG.search(found[0])
        if is_simple or any(name in _ALWAYS_TOO or _ALWAYS.fullmatch(name) for name in names):
            index.always.append(at)
        if (head := _TAG.match(found[0])) and head[0].split()[1] in names:
            index.tags[str(at)] = head[0]
    return index


def _names(text: str) -> list[str]:
    """What a definition declares at file scope."""
    found = []
    if text.startswith("typedef"):
        if name := _TYPEDEF.search(text):
            found.append(name[1] or name[2] or name[3])
    elif head := _HEAD.match(text):
        found.append(head[2])
    if re.match(r"(?:typedef )?enum\b", text):
        found += _ENUMERATOR.findall(text)
    return found


def _dependencies(text: str, places: dict[str, list[int]]) -> tuple[set[int], dict[str, set[int]]]:
    contained: set[int] = set()
    pointed: dict[str, set[int]] = {}
    for line in text.splitlines():
        types = {word for word in _WORD.findall(line) if word in places}
        tags = set()
        if "*" in line:
            tags = {found[1] for found in _TAG.finditer(line)} & types
            if tags:
                field = next(_FIELD.finditer(line), None)
                name = (field[1] or field[2]) if field else ""
                pointed.setdefault(name, set()).update(at for tag in tags for at in places[tag])
        contained.update(at for word in types - tags for at in places[word])
    return contained, pointed


def index_place(folder: Path) -> Path:
    """Where `headers` keeps the index; another version of this module makes another."""
    return folder / f"types-{_own_digest()}.json"


def index_in(folders: Iterable[Path]) -> Path | None:
    """The index among what a compiler includes from."""
    places = (index_place(folder) for folder in folders)
    return next((place for place in places if place.is_file()), None)


@functools.cache
def _own_digest() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]


def read_index(place: Path) -> Index:
    return Index(**json.loads(place.read_text()))


def words_of(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in _WORD.findall(text)}
