"""Rules for other languages than Python: what to change around a line, for clear cases, by
tree-sitter's grammars, and by the text where there is none.

A rule says which changes to make, or nothing. It may be wrong about what the program means:
its patch is run before it is offered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from linnix_ls.core.findings import Cause, Finding, Kind
from linnix_ls.fixes.python import ASKING, TRYING, Proposal
from linnix_ls.fixes.text import Change, Source
from linnix_ls.locate.syntax import tree_of

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_TRIES = 100


class _Language(NamedTuple):
    """How a language pauses.

    Attributes:
        poll_pause: a statement that waits for `poll_text`.
        retry_pause: one that waits for half a second.
        headers: that it needs.
    """

    loops: str
    poll_pause: str
    retry_pause: str
    poll_text: str = "1 ms"
    headers: tuple[str, ...] = ()


_C_LOOPS = "for_statement while_statement do_statement for_range_loop"
_SLEEP_FOR = "std::this_thread::sleep_for(std::chrono::milliseconds({}));"
_PARK = "java.util.concurrent.locks.LockSupport.parkNanos({}_000_000L);"
_TIMEOUT = "await new Promise((resolve) => setTimeout(resolve, {}));"
_JAVASCRIPT = _Language(
    "for_statement for_in_statement while_statement do_statement",
    _TIMEOUT.format(10),
    _TIMEOUT.format(500),
    "10 ms",
)
_LANGUAGES = {
    # Of poll(), unlike nanosleep(), every C standard knows.
    "c": _Language(_C_LOOPS, "poll(0, 0, 1);", "poll(0, 0, 500);", headers=("poll.h",)),
    "c++": _Language(
        _C_LOOPS, _SLEEP_FOR.format(1), _SLEEP_FOR.format(500), headers=("chrono", "thread")
    ),
    "java": _Language(
        "for_statement while_statement do_statement enhanced_for_statement",
        _PARK.format(1),
        _PARK.format(500),
    ),
    "javascript": _JAVASCRIPT,
    "typescript": _JAVASCRIPT,
    "tsx": _JAVASCRIPT,
    "rust": _Language(
        "loop_expression while_expression for_expression",
        "std::thread::sleep(std::time::Duration::from_millis(1));",
        "std::thread::sleep(std::time::Duration::from_millis(500));",
    ),
    "shell": _Language(
        "while_statement for_statement c_style_for_statement",
        "sleep 0.1",
        "sleep 0.5",
        "a tenth of a second",
    ),
}
_JAVASCRIPTS = frozenset({"javascript", "typescript", "tsx"})
# Statements that only give the CPU away for a moment, if that.
_YIELDS = re.compile(
    r";|:|true|continue;?|(?:[\w.]+(?:::|\.))*"
    r"(?:spin_loop|yield_now|yield|sched_yield|onSpinWait|_mm_pause|__builtin_ia32_pause)\(\);?"
)
_STARTS = re.compile(
    rb"\.(spawn|status|output)\(\)|\b(fork|system|popen|posix_spawnp?|execSync|spawnSync)\s*\("
    rb"|\bProcessBuilder\b|\.exec\("
)
_READS = re.compile(r"\b(recv|read|recvfrom|recvmsg)\s*\(\s*([^,()]{1,80}),")
_ZERO_TIMEOUT = re.compile(rb"\b(poll|epoll_wait|epoll_pwait)\s*\([^;]{1,200}?,\s*(0)\s*\)")
_ASKED_FOR_INPUT = re.compile(rb"\brevents\s*&\s*(POLLIN)\b(?!\s*\|)")
_UNBOUNDED_JOBS = re.compile(rb"(?:^|\s)(-j|--jobs)(?=\s|$)")
_FUNCTIONS = re.compile(r"function|arrow|method|lambda|closure|constructor")


def proposals(finding: Finding, source: Source, line: int, language: str) -> Iterator[Proposal]:
    """What may help at that line of a file of `language`, the most fitting first."""
    if language in _PLAIN:
        if proposal := _PLAIN[language](finding, source, line):
            yield proposal
        return
    tree = tree_of(source.content, language)
    if tree is None:
        return
    file = _File(source, tree.root_node, line, language)
    for rule in _RULES.get(finding.kind, ()):
        if proposal := rule(file, finding.cause):
            yield proposal


def is_no_worse(before: bytes, after: bytes, language: str) -> bool:
    """Whether a parser finds no more errors in `after`. Without a grammar nobody knows."""
    trees = tree_of(before, language), tree_of(after, language)
    if trees[0] is None or trees[1] is None:
        return language in _PLAIN
    n_before, n_after = (
        sum(node.is_error or node.is_missing for node in _walk(tree.root_node))
        for tree in trees
        if tree
    )
    return n_after <= n_before


class _File:
    """A parsed file and the loop that a line of it lies in."""

    def __init__(self, source: Source, root: Node, line: int, language: str) -> None:
        self.source = source
        self.root = root
        self.line = line
        self.language = language
        self.words = _LANGUAGES[language]
        kinds = set(self.words.loops.split())
        self.around = list(_around(root, line - 1))
        self.loop = next((node for node in reversed(self.around) if node.type in kinds), None)
        self.body = self.loop.child_by_field_name("body") if self.loop else None

    def text(self, node: Node | None) -> str:
        return self.source.part(node.start_byte, node.end_byte) if node else ""

    def statements(self) -> list[Node]:
        """Of the loop's body, comments left out."""
        if self.body is None:
            return []
        is_block = re.search("block|compound|do_group", self.body.type)
        nodes = self.body.named_children if is_block else [self.body]
        return [node for node in nodes if "comment" not in node.type]

    def does_nothing(self) -> bool:
        """Whether the loop waits for its condition and does nothing meanwhile."""
        if self.body is None:
            return False
        if self.loop and self.loop.type == "loop_expression":
            return False  # which has none
        return all(_YIELDS.fullmatch(self.text(node).strip()) for node in self.statements())

    def is_async(self) -> bool:
        """Whether the innermost function around the line may wait."""
        inner = [node for node in self.around if _FUNCTIONS.search(node.type)]
        return bool(inner) and self.text(inner[-1]).startswith("async")

    def begins_line(self, node: Node) -> bool:
        line = self.source.lines[node.start_point[0]].encode()
        return not line[: node.start_point[1]].strip()

    def before(self, node: Node, *lines: str) -> Change | None:
        if not self.begins_line(node):
            return None
        indentation = self.source.indentation(node.start_point[0] + 1)
        text = "\n".join(indentation + each for each in lines)
        return self.source.insertion(node.start_point[0] + 1, text)

    def after(self, node: Node, *lines: str) -> Change:
        indentation = self.source.indentation(node.start_point[0] + 1)
        text = "\n".join(indentation + each if each else "" for each in lines)
        return self.source.insertion(node.end_point[0] + 2, text)

    def at_start(self, *lines: str) -> Change | None:
        """As the first statements of the loop's body."""
        statements = self.statements()
        is_block = self.body is not None and statements[:1] != [self.body]
        return self.before(statements[0], *lines) if statements and is_block else None

    def at_end(self, *lines: str) -> Change | None:
        """As its last statements."""
        statements = self.statements()
        last = self.body.children[-1] if self.body and self.body.children else None
        if not statements or last is None or statements == [self.body]:
            return None
        if not self.begins_line(last):
            return None
        indentation = self.source.indentation(statements[0].start_point[0] + 1)
        text = "\n".join(indentation + each for each in lines)
        return self.source.insertion(last.start_point[0] + 1, text)

    def instead(self, statement: str) -> Change | None:
        """In place of a body that does nothing."""
        statements = self.statements()
        if statements:
            return Change(statements[0].start_byte, statements[-1].end_byte, statement)
        if self.body is not None and self.text(self.body).strip("{} \t\n") == "":
            return Change(self.body.start_byte, self.body.end_byte, "{ " + statement + " }")
        return None

    def headers(self, *names: str) -> list[Change]:
        """What has to be included for a statement of C or C++."""
        lines = self.source.lines
        included = [n for n, line in enumerate(lines, 1) if re.match(r"\s*#\s*include\b", line)]
        missing = [
            name
            for name in names
            if not any(re.match(rf"\s*#\s*include\s*<{re.escape(name)}>", line) for line in lines)
        ]
        if not missing:
            return []
        text = "\n".join(f"#include <{name}>" for name in missing)
        return [self.source.insertion(included[-1] + 1 if included else 1, text)]


# -- a loop that asks without a pause -------------------------------------------------------------


def _volatile(file: _File, _cause: Cause) -> Proposal | None:
    """A thread need never see what another writes into a plain field."""
    if file.language != "java" or file.loop is None:
        return None
    condition = file.text(file.loop.child_by_field_name("condition"))
    match = re.fullmatch(r"\(\s*(?:!\s*)?(?:this\.)?(\w+)\s*\)", condition)
    for node in _walk(file.root) if match else ():
        if node.type != "field_declaration" or not match:
            continue
        declared = node.child_by_field_name("declarator")
        name = declared.child_by_field_name("name") if declared else None
        kind = node.child_by_field_name("type")
        modifiers = file.source.part(node.start_byte, kind.start_byte if kind else node.start_byte)
        if file.text(name) == match[1] and kind and not re.search("volatile|final", modifiers):
            title = f"Make {match[1]} volatile, so that the loop sees other threads' writes"
            return title, [Change(kind.start_byte, kind.start_byte, "volatile ")]
    return None


def _readiness(file: _File, _cause: Cause) -> Proposal | None:
    """A read that says EAGAIN, and is tried again at once."""
    if file.language not in ("c", "c++") or not re.search(
        "EAGAIN|EWOULDBLOCK", file.text(file.loop)
    ):
        return None
    match = _READS.search(file.text(file.body))
    change = match and file.at_start(
        f"struct pollfd readable = {{ {match[2].strip()}, POLLIN, 0 }};", "poll(&readable, 1, -1);"
    )
    if not change:
        return None
    return "Wait with poll() until there is something to read", [*file.headers("poll.h"), change]


def _zero_timeout(file: _File, _cause: Cause) -> Proposal | None:
    changed = _in_loop(file, _ZERO_TIMEOUT, "100", group=2)
    return ("Let it wait for up to 100 ms", changed) if changed else None


def _hang_up(file: _File, _cause: Cause) -> Proposal | None:
    """poll also reports what was not asked for: a hang-up, an error."""
    changed = _in_loop(file, _ASKED_FOR_INPUT, "(POLLIN | POLLHUP | POLLERR)")
    return ("Read after a hang-up as well", changed) if changed else None


def _select_now(file: _File, _cause: Cause) -> Proposal | None:
    if file.language != "java":
        return None
    changed = _in_loop(file, re.compile(rb"\.(selectNow\(\))"), "select(100)")
    return ("Let the selector wait for up to 100 ms", changed) if changed else None


def _receive(file: _File, _cause: Cause) -> Proposal | None:
    if file.language != "rust" or "TryRecvError" in file.text(file.loop):
        return None
    new = "recv_timeout(std::time::Duration::from_millis(10))"
    changed = _in_loop(file, re.compile(rb"\.(try_recv\(\))"), new)
    return ("Wait for a message for up to 10 ms, with recv_timeout()", changed) if changed else None


def _in_loop(file: _File, pattern: re.Pattern[bytes], new: str, group: int = 1) -> list[Change]:
    if file.loop is None:
        return []
    found = pattern.finditer(file.source.content, file.loop.start_byte, file.loop.end_byte)
    return [Change(match.start(group), match.end(group), new) for match in found]


def _later(file: _File, _cause: Cause) -> Proposal | None:
    """A callback that asks to be called again at once."""
    for node in _walk(file.root) if file.language in _JAVASCRIPTS else ():
        match = re.fullmatch(
            r"(setImmediate|process\.nextTick|queueMicrotask)\(\s*(\w+)\s*\)", file.text(node)
        )
        if node.type != "call_expression" or match is None:
            continue
        around = [
            each for each in _around(file.root, node.start_point[0]) if _named(each) == match[2]
        ]
        if any(each.start_point[0] < file.line <= each.end_point[0] + 1 for each in around):
            new = f"setTimeout({match[2]}, 10)"
            return "Ask again after 10 ms, with setTimeout()", [
                Change(node.start_byte, node.end_byte, new)
            ]
    return None


def _pause(file: _File, cause: Cause) -> Proposal | None:
    if file.loop is None or (file.language in _JAVASCRIPTS and not file.is_async()):
        return None  # nothing happens while JavaScript sleeps otherwise
    statement = file.words.poll_pause
    if file.does_nothing():
        change = file.instead(statement)
    elif cause not in ASKING:
        return None  # a loop that computes does not end earlier for it
    else:
        change = file.at_start(statement)
    if change is None:
        return None
    title = f"Pause for {file.words.poll_text} in each round"
    return title, [*file.headers(*file.words.headers), change]


def _bounded(file: _File, _cause: Cause) -> Proposal | None:
    """``until COMMAND; do :; done``, which would wait for ever."""
    if file.language != "shell" or file.loop is None or not file.does_nothing():
        return None
    is_in_function = any(node.type == "function_definition" for node in file.around)
    leave = "return 1" if is_in_function else "exit 1"
    indentation = file.source.indentation(file.loop.start_point[0] + 1)
    inner = "\n" + file.source.indentation(file.loop.start_point[0] + 2)
    if not file.statements() or not inner[1:].startswith(indentation) or inner[1:] == indentation:
        return None
    before = file.before(file.loop, "tries=0")
    change = file.instead(
        inner.join(
            [
                "tries=$((tries + 1))",
                f'[ "$tries" -lt {MAX_TRIES} ] || {{ echo "gave up waiting" >&2; {leave}; }}',
                "sleep 0.1",
            ]
        )
    )
    if "tries" in file.source.content.decode("utf-8", "replace") or not (before and change):
        return None
    return f"Pause in each round, and give up after {MAX_TRIES}", [before, change]


# -- processes without end ------------------------------------------------------------------------


def _pause_between_tries(file: _File, cause: Cause) -> Proposal | None:
    if file.loop is None or file.body is None or cause not in TRYING:
        return None
    body = file.source.content[file.body.start_byte : file.body.end_byte]
    is_shell = file.language == "shell"
    if not (is_shell or _STARTS.search(body)):
        return None
    if file.language in _JAVASCRIPTS and not file.is_async():
        return None
    statement = file.words.retry_pause
    change = file.instead(statement) if file.does_nothing() else file.at_end(statement)
    if change is None:
        return None
    title = "Pause for half a second between two tries"
    return title, [*file.headers(*file.words.headers), change]


def _restart_later(file: _File, _cause: Cause) -> Proposal | None:
    """A process that is started again from the callback that tells its end."""
    for node in _walk(file.root) if file.language in _JAVASCRIPTS else ():
        called = file.text(node.child_by_field_name("function"))
        arguments = file.text(node.child_by_field_name("arguments"))
        if node.type != "call_expression" or not re.search(r"\.(on|once)$", called):
            continue
        if not re.match(r"\(\s*['\"](exit|close|error)['\"]", arguments):
            continue
        around = {_named(each) for each in _around(file.root, node.start_point[0])} - {None}
        if not any(
            each.start_point[0] < file.line <= each.end_point[0] + 1
            for each in _around(file.root, node.start_point[0])
            if _named(each)
        ):
            continue
        for inner in _walk(node):
            name = re.fullmatch(
                r"(?:this\.)?(\w+)", file.text(inner.child_by_field_name("function"))
            )
            if inner.type == "call_expression" and name and name[1] in around:
                new = f"setTimeout(() => {file.text(inner)}, 500)"
                return "Start it again after half a second", [
                    Change(inner.start_byte, inner.end_byte, new)
                ]
    return None


# -- a child that nobody ends ---------------------------------------------------------------------


def _end_with_us(file: _File, _cause: Cause) -> Proposal | None:
    if file.language == "shell":
        return _trap(file)
    if file.language == "rust":
        return _drop(file)
    for node in file.around if file.language in _JAVASCRIPTS else ():
        declared = next((n for n in node.named_children if n.type == "variable_declarator"), None)
        value = file.text(declared.child_by_field_name("value")) if declared else ""
        if declared and re.match(r"(\w+\.)?(spawn|fork|execFile|exec)\(", value):
            name = file.text(declared.child_by_field_name("name"))
            if re.fullmatch(r"\w+", name):
                change = file.after(node, f"process.on('exit', () => {name}.kill());")
                return "End it when this process ends", [change]
    return None


def _trap(file: _File) -> Proposal | None:
    """``server &`` in a script without a trap."""
    text = file.source.lines[file.line - 1]
    is_trapped = re.search(rb"(?m)^[ \t]*trap\b.*\bEXIT\b", file.source.content)
    if is_trapped or not re.search(r"[^&]&\s*(#.*)?$", text):
        return None
    following = file.source.lines[file.line] if file.line < len(file.source.lines) else ""
    named = re.match(r"\s*(?:local\s+|declare\s+)?(\w+)=\$!", following)
    name = named[1] if named else "background_pid"
    indentation = file.source.indentation(file.line)
    lines = [] if named else [f"{indentation}{name}=$!"]
    lines.append(f"""{indentation}trap 'kill "${name}" 2>/dev/null' EXIT""")
    at = file.line + (2 if named else 1)
    return "End it when the script ends, with a trap", [file.source.insertion(at, "\n".join(lines))]


def _drop(file: _File) -> Proposal | None:
    """A struct that owns a child: dropping std's Child does not end the process."""
    for node in _walk(file.root):
        name = file.text(node.child_by_field_name("name")) if node.type == "struct_item" else ""
        child = re.search(r"\b(\w+)\s*:\s*(?:\w+::)*Child\b", file.text(node)) if name else None
        has_drop = re.search(rf"\bDrop\s+for\s+{re.escape(name)}\b", file.text(file.root))
        if child and not has_drop:
            change = file.after(
                node,
                "",
                f"impl Drop for {name} {{",
                "    fn drop(&mut self) {",
                f"        let _ = self.{child[1]}.kill();",
                f"        let _ = self.{child[1]}.wait();",
                "    }",
                "}",
            )
            return f"End the process when its {name} is dropped", [change]
    return None


_RULES: dict[Kind, tuple[Callable[[_File, Cause], Proposal | None], ...]] = {
    Kind.CPU_SPIN: (
        _volatile,
        _readiness,
        _zero_timeout,
        _hang_up,
        _select_now,
        _receive,
        _later,
        _pause,
        _bounded,
    ),
    Kind.FORK_STORM: (_restart_later, _pause_between_tries, _bounded),
    Kind.LEAKED_CHILD: (_end_with_us,),
}


# -- languages without a grammar ------------------------------------------------------------------


def _perl(finding: Finding, source: Source, line: int) -> Proposal | None:
    if finding.kind is not Kind.CPU_SPIN or finding.cause not in ASKING:
        return None
    opening = re.compile(r"\s*(?:while|until|for|foreach)\b.*\{\s*$")
    indentation = len(source.indentation(line))
    for number in range(line, 0, -1):
        text = source.lines[number - 1]
        is_outside = number == line or len(source.indentation(number)) < indentation
        if opening.match(text) and is_outside:
            inner = source.indentation(min(number + 1, len(source.lines)))
            change = source.insertion(number + 1, f"{inner}select(undef, undef, undef, 0.01);")
            return "Pause for 10 ms in each round", [change]
    return None


def _make(finding: Finding, source: Source, line: int) -> Proposal | None:
    start, end = source.offset(line), source.offset(line + 1) - 1
    match = _UNBOUNDED_JOBS.search(source.content, start, end)
    if finding.cause is not Cause.WORKER_OVERSUBSCRIPTION or match is None:
        return None
    option = match[1].decode()
    new = f"{option}{'=' if option == '--jobs' else ''}$(shell nproc)"
    return "Run one job per CPU", [Change(match.start(1), match.end(1), new)]


_PLAIN: dict[str, Callable[[Finding, Source, int], Proposal | None]] = {
    "perl": _perl,
    "make": _make,
}


# -- reading the syntax ---------------------------------------------------------------------------


def _around(root: Node, row: int) -> Iterator[Node]:
    """The nodes that begin on or before that row and end on or after it, outermost first; of
    several on one row each."""
    todo = [root]
    while todo:
        node = todo.pop(0)
        if node.start_point[0] <= row <= node.end_point[0]:
            yield node
            todo[:0] = node.named_children


def _walk(node: Node) -> Iterator[Node]:
    todo = [node]
    while todo:
        inner = todo.pop()
        yield inner
        todo += reversed(inner.children)


def _named(node: Node) -> str | None:
    """What a function is called: by its own name, or by the variable that it is given to."""
    is_function = _FUNCTIONS.search(node.type)
    if not (is_function or node.type == "variable_declarator"):
        return None
    name = node.child_by_field_name("name")
    return (name.text or b"").decode("utf-8", "replace") if name else None
