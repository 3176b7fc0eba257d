"""What compilers print, as problems: clang's errors and warnings, and LLVM's last words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from linnix_ls.playground.base import Problem, Related, Severity, Span
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.dialect import VIRTUAL_FILE

_DIAGNOSTIC = re.compile(
    r"^(?P<file>[^:\s][^:]*):(?P<line>\d+):(?P<column>\d+): "
    r"(?P<level>warning|error|fatal error|note): (?P<text>.*)$"
)
_IN_FUNCTION = re.compile(
    r"^error: (?P<file>[^:]+):(?P<line>\d+):(?P<column>\d+): in function (?P<function>\w+) "
    r".*?\): (?P<text>.*)$"
)
_AT_LINE = re.compile(r"^Error at line (?P<line>\d+): (?P<text>.*)$")
_CANNOT_SELECT = re.compile(r"^(?:fatal error: error in backend: |LLVM ERROR: )(?P<text>.*)$")
_BUILTIN = re.compile(r"A call to built-in function '(?P<name>\w+)' is not supported")
# A struct or union without a name, by where it is.
_UNNAMED = re.compile(r"(?:::)?\((?:unnamed|anonymous)\b(?=[^()]* at )[^()]*:(?P<line>\d+):\d+\)")
# Not where a type without a name is defined: "struct (unnamed struct at probe.bpf.c:4:1)".
_LLVM_PLACE = re.compile(r"(?<! at )(?<![^\s,:])(?P<file>[^\s,:]+):(?P<line>\d+):(?P<column>\d+)")
# LLVM's note behind an error that stands at the function's head: this is where it is.
_PLACE_FOLLOWS = "could not determine the original source location for "
_FLAG = re.compile(r" \[-W[\w=-]+\]$")
_UNDECLARED = re.compile(
    r"implicit(?:ly)? declar(?:ation of function|ing library function) '(?P<name>\w+)'"
)
_FUNCTION_INSIDE = re.compile(r"^function definition is not allowed here")
_NO_LIBBPF_HEADER = re.compile(r"^'bpf/\w+\.h' file not found")
# Of BCC's own rewriting, not of the user's source.
_NOT_THEIRS = re.compile(
    r"macro redefined|__HAVE_BUILTIN_BSWAP|-Wframe-address"
    # BCC declares them in front of the probe, and functions before it may hand one on.
    r"|'struct tracepoint__\w+' will not be visible outside"
    r"|passing '(struct tracepoint__\w+ \*)' to parameter of type '\1'"
)

# What BCC says through clang while it rewrites; an editor's clangd knows nothing of it.
_BCC_SAID = re.compile(r"\bbcc\b|bpf_table|bpf map|helper function|\bmap\b", re.IGNORECASE)

_NO_FLOATS = "BPF has no floating point"
_NO_FLOATS_FIX = "count in whole numbers of a smaller unit"
# What LLVM cannot express for BPF, in words; None: its own will do.
_BACKEND: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(
            r"Unsupport(?:ed)? signed division"
            r"|Cannot select:(?:(?!Cannot select:).)*?\bs(?:div|rem)\b"
        ),
        "BPF has no signed division",
        "make both numbers unsigned: (u64)a / (u64)b",
    ),
    (
        re.compile(r"[Ss]tack limit"),
        "local variables need more than the 512 bytes of stack that there are",
        "keep large ones in a per-CPU array, or make them smaller",
    ),
    (
        re.compile(r"too many args to 0x[0-9a-f]+: i64 = Constant<"),  # a helper, by its number
        "a helper takes five arguments at most, and here are more",
        "pass fewer (bpf_trace_printk() prints three values), or send a struct",
    ),
    (
        re.compile(r"too many args"),
        "a function has more than the five arguments that BPF can pass",
        "pass a pointer to a struct, or make it static inline",
    ),
    (
        # What compilers call for numbers that a machine does not have.
        re.compile(r"A call to built-in function '__[a-z]+[sdxt]f\d?(?:[sdt]i)?'"),
        _NO_FLOATS,
        _NO_FLOATS_FIX,
    ),
    (
        re.compile(r"A call to built-in function '__u?(?:mul|div|mod|ashl|ashr|lshr)o?ti\d'"),
        "BPF has no arithmetic of 128 bits",
        "stay within 64 bits: divide first, or multiply smaller numbers",
    ),
    (
        re.compile(r"A call to built-in function '(?P<name>\w+)' is not supported"),
        "there is no {name}() here: a probe has no C library",
        "use __builtin_{name}() with a constant length, or a BPF helper",
    ),
    (
        re.compile(
            r"variable(?:-sized| length) object|DYNAMIC_STACKALLOC|dynamic_stackalloc"
            r"|[Dd]ynamic stack alloc"
        ),
        "an array's length must be known when it is compiled",
        "give it a constant length",
    ),
    (
        re.compile(
            r"only integer returns supported|pass by value not supported|aggregate returns"
            r"|return by value|multiple return"
        ),
        "structs cannot be passed or returned by value",
        "pass a pointer",
    ),
    (
        re.compile(r"\bf(?:add|sub|mul|div)\b|floating|f32|f64"),
        _NO_FLOATS,
        _NO_FLOATS_FIX,
    ),
)


@dataclass
class _Open:
    """A diagnostic whose notes may still come."""

    line: int
    column: int | None
    level: str
    text: str
    log: list[str]
    notes: list[Related] = field(default_factory=list)


def problems(output: str, source: CSource, name: str, *, is_bcc: bool) -> list[Problem]:
    """Of all that was printed; of a source in several files those that the user's is part of."""
    found: list[_Open] = []
    included_at: int | None = None
    for raw in output.splitlines():
        if raw.startswith("Disassembly of function"):
            break  # BCC's table of lines, and then nothing more of clang's
        if include := re.match(r"^In file included from (?P<file>[^:]+):(?P<line>\d+)", raw):
            if _is_theirs(include["file"], name, is_bcc=is_bcc):
                included_at = int(include["line"])
            continue
        if diagnostic := _DIAGNOSTIC.match(raw):
            is_theirs = _is_theirs(diagnostic["file"], name, is_bcc=is_bcc)
            line = int(diagnostic["line"]) if is_theirs else included_at or 1
            column = int(diagnostic["column"]) if is_theirs else None
            text = _FLAG.sub("", diagnostic["text"])
            if is_theirs and (place := _place_in(text, name, is_bcc=is_bcc)):
                line, column = place  # of LLVM's, which names the function before
            if builtin := _BUILTIN.search(text):
                line, column = _builtin_line(source, builtin["name"], line), None
            if diagnostic["level"] == "note":
                if found and diagnostic["file"].endswith("vmlinux.h"):
                    found[-1].text += _OF_THE_KERNEL.get(diagnostic["text"], "")
                if found and is_theirs and text.startswith(_PLACE_FOLLOWS):
                    if line:
                        found[-1].line, found[-1].column = line, None
                elif found and is_theirs:
                    found[-1].notes.append(Related(_span(source, line, column), text))
            elif is_theirs or "error" in diagnostic["level"]:
                where = "" if is_theirs else f" (in {diagnostic['file']}:{diagnostic['line']})"
                found.append(_Open(line, column, diagnostic["level"], text + where, []))
            else:
                continue
            included_at = None if is_theirs else included_at
        if found:
            found[-1].log.append(raw)
    for each in found:
        if _STACK_LIMIT.search(each.text) and (declared := _large_local(source, each.line)):
            each.line, each.column = declared, None
    once = {(each.line, each.column, each.text): each for each in reversed(found)}
    kept = [each for each in reversed(once.values()) if not _NOT_THEIRS.search(each.text)]
    told = [_problem(each, source) for each in kept]
    errors_at = {each.line for each in kept if each.level != "warning"}
    return [*told, *_backend(output, source, errors_at, name, is_bcc=is_bcc)]


def _large_local(source: CSource, line: int) -> int | None:
    """Where the local variable is declared that may need too much stack: LLVM knows only where
    one is used. One of that line, or the longest array of the function."""
    function = source.function_at(line)
    if function is None:
        return None
    found = [
        (at, match)
        for at in range(function.first_line, function.last_line + 1)
        if (match := _LARGE_LOCAL.match(source.code(at)))
    ]
    used = set(re.findall(r"\w+", source.code(line)))
    lengths = {at: int(match["length"] or 0) for at, match in found}
    of_line = [at for at, match in found if match["name"] in used]
    return max(of_line or lengths, key=lambda at: lengths[at], default=None)


def _place_in(text: str, name: str, *, is_bcc: bool) -> tuple[int, int] | None:
    """What LLVM itself names in a message."""
    for found in _LLVM_PLACE.finditer(_UNNAMED.sub("", text)):
        if _is_theirs(found["file"], name, is_bcc=is_bcc):
            return int(found["line"]), int(found["column"])
    return None


def _is_theirs(file: str, name: str, *, is_bcc: bool) -> bool:
    return file.endswith(VIRTUAL_FILE) if is_bcc else file.endswith(name)


def _problem(said: _Open, source: CSource) -> Problem:
    severity = Severity.WARNING if said.level == "warning" else Severity.ERROR
    message = said.text = _UNNAMED.sub(r", its part at line \g<line>", said.text)
    is_of_c = not (_BCC_SAID.search(said.text) or _backend_words(said.text))
    if undeclared := _UNDECLARED.search(said.text):
        # A warning in C; there is nothing here that it could be linked with.
        severity = Severity.ERROR
        called = undeclared["name"]
        fix = (
            "include the header that has it; the libbpf installed here may be older than it"
            if called.startswith("bpf_")
            else f"define it, use __builtin_{called}() if the compiler has it, or a BPF helper:"
            " a probe has no C library"
        )
        message = f"there is no function {called}() here. Fix: {fix}"
    elif said.level != "warning":
        message = _backend_words(said.text) or said.text
        if _FUNCTION_INSIDE.search(said.text):
            message += ": a } is missing before it"
            if unclosed := _unclosed_before(source, said.line):
                message = f"this {{ is not closed: the function at line {said.line} would be inside"
                said.line, said.column = unclosed
        if _NO_LIBBPF_HEADER.search(said.text):
            message += ". Fix: apt-get install libbpf-dev   (Fedora: libbpf-devel)"
    return Problem(
        _span(source, said.line, said.column),
        severity,
        "clang",
        message,
        tuple(said.notes),
        log="\n".join(said.log),
        is_of_c=is_of_c,
    )


def _unclosed_before(source: CSource, line: int) -> tuple[int, int] | None:
    """Line and column of the brace that is still open there, by how the lines are indented: the
    } that closes it belongs to another."""
    opened: list[tuple[int, int]] = []
    for at in range(1, line):
        code = source.code(at)
        for found in re.finditer(r"[{}]", code):
            if found[0] == "{":
                opened.append((at, found.start() + 1))
            elif opened:
                before = opened.pop()
                is_alone = not code[: found.start()].strip()
                if is_alone and _indent(code) < _indent(source.code(before[0])):
                    return before
    return None


def _indent(code: str) -> int:
    expanded = code.expandtabs()
    return len(expanded) - len(expanded.lstrip())


def _span(source: CSource, line: int, column: int | None) -> Span:
    whole = source.whole(line)
    if column is None or not 0 < line <= len(source.lines):
        return whole
    text = source.lines[line - 1]
    # clang counts bytes.
    at = len(text.encode(errors="surrogateescape")[: column - 1].decode(errors="replace"))
    word = re.compile(r"\w+|\S").match(text, at)
    return Span(line, at + 1, word.end() + 1) if word else whole


_OF_THE_KERNEL = dict.fromkeys(
    ("previous definition is here", "previous use is here", "previous declaration is here"),
    ": the kernel has one, too, in vmlinux.h. Fix: give yours another name",
)
_STACK_LIMIT = re.compile(r"[Ss]tack limit")
# A local array or struct: "char line[512];", "struct event_t event = {};".
_LARGE_LOCAL = re.compile(
    r"^\s+(?!return\b|static\b|else\b|goto\b)(?:(?:const|volatile|unsigned)\s+)*"
    r"(?P<tag>(?:struct|union)\s+)?\w+\s+(?P<name>\w+)\s*"
    r"(?:\[(?=\s*(?P<length>\d*))[^\]]*\]|=\s*\{|(?(tag)[;,=]|(?!)))"
)
# Declared with a length that is a variable's value.
_VARIABLE_LENGTH = re.compile(r"^\s*(?:[a-z]\w*\s+)+\w+\s*\[(?=[^\]]*\b[a-z_])[^\]]*\]\s*[;=]")


def _builtin_line(source: CSource, name: str, head: int) -> int:
    """Where it is called: LLVM names the function around it."""
    function = source.function_at(head)
    first, last = (function.first_line, function.last_line) if function else (1, len(source.lines))
    calls = [
        at
        for at in range(first, last + 1)
        if re.search(rf"\b(?:__builtin_)?{name}\s*\(", source.code(at))
    ]
    # Those of a constant length are no calls when they are compiled.
    varying = [at for at in calls if not _has_constant_length(source.code(at))]
    return (varying or calls or [head])[0]


def _has_constant_length(code: str) -> bool:
    """Whether a call in there may end in a number or a sizeof."""
    return re.search(r",\s*(?:\d+\)|sizeof\b)", code[: code.rfind(")") + 1]) is not None


def _first_line(source: CSource, pattern: re.Pattern[str]) -> str | None:
    lines = range(1, len(source.lines) + 1)
    return next(
        (str(at) for at in lines if pattern.search(source.code(at)) and source.function_at(at)),
        None,
    )


def _backend(
    output: str, source: CSource, known_lines: set[int], name: str, *, is_bcc: bool
) -> Iterator[Problem]:
    """What LLVM says when it gives up, which looks like nothing that clang says."""
    for raw in output.splitlines():
        if raw.startswith("Disassembly of function"):
            return
        place = _IN_FUNCTION.match(raw) or _AT_LINE.match(raw) or _CANNOT_SELECT.match(raw)
        if place is None:
            continue
        groups = place.groupdict()
        line, column = groups.get("line"), groups.get("column")
        if where := _place_in(place["text"], name, is_bcc=is_bcc):
            line, column = map(str, where)
        if builtin := _BUILTIN.search(place["text"]):
            line = str(_builtin_line(source, builtin["name"], int(line or 0)))
            column = None
        if line is None and "dynamic stack" in place["text"]:
            line = _first_line(source, _VARIABLE_LENGTH)
        if line is None and (function := re.search(r"[Ii]n function:? (\w+)", output)):
            named = source.function(function[1])
            line = str(named.head.line) if named else None
        at = int(line) if line and 0 < int(line) <= len(source.lines) else 1
        if at in known_lines:
            continue
        known_lines.add(at)
        yield Problem(
            _span(source, at, int(column) if column else None),
            Severity.ERROR,
            "clang",
            _backend_words(place["text"])
            or f"the compiler cannot express this for BPF: {place['text'][:300]}",
            program=groups.get("function"),
            log=output[:20_000],
        )


def _backend_words(text: str) -> str | None:
    for pattern, words, fix in _BACKEND:
        if known := pattern.search(text):
            return f"{words}. Fix: {fix}".format_map(known.groupdict())
    return None
