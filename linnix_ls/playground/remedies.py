"""What may mend a problem of a probe: small edits by rules, on the parsed source.

A proposal adds what is missing (a check, a release, a return) or changes one expression. It takes
away nothing that the user wrote, and skips as little of it as it can. Whether the verifier agrees
is not known here: `mending` finds out, and only then is one offered.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from linnix_ls.playground.base import Problem
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.dialect import Dialect, dialect_of
from linnix_ls.sources import grammar

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_SOURCE_CHARS = 256 << 10
MAX_ROUNDS = 32

_STATEMENTS = frozenset(
    "expression_statement declaration if_statement return_statement while_statement for_statement"
    " do_statement switch_statement labeled_statement".split()
)
_LOOPS = ("for_statement", "while_statement", "do_statement")
_UNSIGNED = re.compile(r"\b(?:unsigned|size_t|__?u(?:8|16|32|64)|u(?:8|16|32|64)|uint\w*_t)\b")
_CHECK_FIRST = re.compile(r"`if \(!(\w+)\) return")
_MEANT = re.compile(r"did you mean '(\w+)'")
_NEAREST = re.compile(r"no tracepoint (?P<wrong>[\w/]+)\. Fix: did you mean (?P<names>[\w/, ]+)\?")
_RELEASES = ("submit", "discard", "release", "destroy", "unlock")
_SECTION_KINDS = ("tracepoint", "tp", "raw_tracepoint", "raw_tp", "tp_btf", "perf_event", "iter")

# (from, to, text in its place), in bytes.
_Change = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change. `text`: the whole source with it.

    Attributes:
        is_sure: it does what the message says, and nobody has to choose; else it is one of several,
            or says something that only the author can (a licence).
    """

    title: str
    text: str
    is_sure: bool = True


def proposals(text: str, problem: Problem) -> list[Proposal]:
    """The most fitting first; often none. Never raises for what the source holds."""
    rule = problem.code.rpartition("/")[2]
    propose = _RULES.get(rule)
    if propose is None or len(text) > MAX_SOURCE_CHARS or grammar("c") is None:
        return []
    if re.search("[\ud800-\udfff]", text):  # half a character: no editor's, and no compiler's
        return []
    if not 0 < problem.span.line <= text.count("\n") + 1:
        return []
    source = CSource(text)
    if source.root is None:  # made to be slow to read
        return []
    found: dict[str, Proposal] = {}
    for title, changes, *is_sure in propose(_Probe(source, source.root), problem):
        changed = _changed(text, changes)
        if changed != text:
            found.setdefault(changed, Proposal(title, changed, *is_sure))
    return list(found.values())


def _changed(text: str, changes: list[_Change]) -> str:
    content = text.encode()
    for start, end, new in sorted(changes, reverse=True):
        content = content[:start] + new.encode() + content[end:]
    return content.decode("utf-8", "replace")


_Found = Iterator[tuple[str, list[_Change]] | tuple[str, list[_Change], bool]]


class _Probe:
    """A source, and how it is changed in its own style."""

    def __init__(self, source: CSource, root: Node) -> None:
        self.text = source.text
        self.content = source.text.encode()
        self.source = source
        self.root = root
        self.is_bcc = dialect_of(source.text) is Dialect.BCC

    # -- looking -------------------------------------------------------------------------------

    def of(self, node: Node) -> str:
        return self.content[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def walk(self, node: Node | None = None) -> Iterator[Node]:
        todo = [node or self.root]
        while todo:
            each = todo.pop()
            yield each
            todo.extend(reversed(each.named_children))

    def offset(self, line: int, column: int = 1) -> int:
        lines = self.text.split("\n")
        before = "\n".join(lines[: line - 1]) + ("\n" if line > 1 else "")
        here = lines[line - 1][: column - 1] if line <= len(lines) else ""
        return len((before + here).encode())

    def statement(self, problem: Problem) -> Node | None:
        """The innermost statement in which the problem begins."""
        span = problem.span
        column = span.column or self.source.whole(span.line).column or 1
        return self.statement_at(self.offset(span.line, column))

    def statement_at(self, at: int) -> Node | None:
        node: Node | None = self.root.descendant_for_byte_range(at, at + 1)
        while node is not None:
            if node.type in _STATEMENTS and self.body_of(node) is not None:
                return node
            node = node.parent
        return None

    def body_of(self, node: Node) -> Node | None:
        """The body of the function around a node."""
        found = None
        parent = node.parent
        while parent is not None:
            if parent.type == "compound_statement":
                found = parent
            parent = parent.parent
        return found

    def listed(self, statement: Node) -> Node:
        """The statement, or the one around it, before which another can stand."""
        node = statement
        while node.parent is not None and node.parent.type != "compound_statement":
            node = node.parent
        return node

    def loop_around(self, statement: Node) -> Node | None:
        node = statement.parent
        while node is not None:
            if node.type in _LOOPS:
                return node
            node = node.parent
        return None

    def identifiers(self, node: Node) -> Iterator[str]:
        return (self.of(each) for each in self.walk(node) if each.type == "identifier")

    def head_of(self, statement: Node) -> str:
        """The text before the body of the function around it, from where the last one ended."""
        body = self.body_of(statement)
        if body is None:
            return ""
        head = self.content[max(0, body.start_byte - 400) : body.start_byte].decode(
            "utf-8", "replace"
        )
        return re.split(r"[;}]", head)[-1]

    def declaration(self, name: str, statement: Node) -> str:
        """What declares a variable, up to its name: of this function, its head, or the file."""
        body = self.body_of(statement)
        for scope in (body, self.root):
            if scope is None:
                continue
            for node in self.walk(scope):
                if node.type != "declaration" or node.start_byte > statement.start_byte:
                    continue
                if match := re.match(rf"[^=;]*?\b{re.escape(name)}\b", self.of(node)):
                    return match[0]
            if match := re.search(
                rf"[(,]([^(),]*\b{re.escape(name)})\s*[,)]", self.head_of(statement)
            ):
                return match[1]
        return ""

    def is_unsigned(self, name: str, statement: Node) -> bool:
        return bool(_UNSIGNED.search(self.declaration(name, statement)))

    def array_size(self, name: str) -> str | None:
        """How many elements an array of that name is declared to have, if that is one answer."""
        sizes = {
            self.of(size)
            for node in self.walk()
            if node.type == "array_declarator"
            and (declarator := node.child_by_field_name("declarator")) is not None
            and self.of(declarator) == name
            and (size := node.child_by_field_name("size")) is not None
        }
        return sizes.pop() if len(sizes) == 1 else None

    def number(self, text: str) -> int | None:
        """A constant's value: a literal, or the name of one."""
        text = text.strip("() ")
        if match := re.search(
            rf"(?m)^[ \t]*#[ \t]*define[ \t]+{re.escape(text)}[ \t]+(\w+)", self.text
        ):
            text = match[1]
        try:
            return int(text.rstrip("uUlL"), 0)
        except ValueError:
            return None

    def calls(self, node: Node) -> Iterator[tuple[str, list[Node], Node]]:
        """Callee, arguments and node of each call in it."""
        for each in self.walk(node):
            if each.type != "call_expression":
                continue
            callee = each.child_by_field_name("function")
            arguments = each.child_by_field_name("arguments")
            if callee is not None and arguments is not None:
                yield self.of(callee), list(arguments.named_children), each

    def unused(self, name: str) -> str:
        """A name that the source does not have yet."""
        while re.search(rf"\b{name}\b", self.text):
            name += "_"
        return name

    # -- changing ------------------------------------------------------------------------------

    def indentation(self, node: Node) -> str:
        line = self.content[: node.start_byte].rsplit(b"\n", 1)[-1].decode("utf-8", "replace")
        return line[: len(line) - len(line.lstrip())]

    @cached_property
    def unit(self) -> str:
        """One step of indentation."""
        return "\t" if re.search(r"(?m)^\t", self.text) else "    "

    @cached_property
    def newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def before(self, statement: Node, lines: list[str]) -> _Change:
        """Lines of their own before a statement."""
        indentation = self.indentation(statement)
        text = "".join(f"{line}{self.newline}{indentation}" for line in lines)
        return statement.start_byte, statement.start_byte, text

    def after(self, statement: Node, lines: list[str]) -> _Change:
        indentation = self.indentation(statement)
        text = "".join(f"{self.newline}{indentation}{line}" for line in lines)
        return statement.end_byte, statement.end_byte, text

    def before_even_if_single(self, statement: Node, line: str) -> list[_Change]:
        """A line before a statement, with braces around both if it is all that an `if` has."""
        parent = statement.parent
        if parent is None or parent.type == "compound_statement":
            return [self.before(statement, [line])]
        outer = self.indentation(parent)
        head_end = len(self.content[: statement.start_byte].rstrip())
        inner = f"{self.newline}{outer}{self.unit}"
        opened = f" {{{inner}{line}{inner}"
        return [
            (head_end, statement.start_byte, opened),
            (statement.end_byte, statement.end_byte, f"{self.newline}{outer}}}"),
        ]

    def leave(self, statement: Node) -> str:
        """The statement that ends what is not to go on."""
        if self.loop_around(statement) is not None:
            return "continue;"
        is_void = re.search(r"\bvoid\s+\w+\s*\([^()]*\)\s*$", self.head_of(statement))
        return "return;" if is_void else "return 0;"

    def guarded(
        self, statement: Node, wrong: str, right: str, name: str
    ) -> Iterator[list[_Change]]:
        """The ways to let a statement run only where a condition holds, the one first that skips
        least of what comes after it."""
        listed = self.listed(statement)
        guard = [self.before(listed, [f"if ({wrong})", f"{self.unit}{self.leave(statement)}"])]
        wrapped = self._wrapped(statement, right)
        rest = []
        sibling = listed.next_named_sibling
        while sibling is not None:
            rest.append(sibling)
            sibling = sibling.next_named_sibling
        is_used = any(name in self.identifiers(each) for each in rest)
        is_all = all(each.type in ("return_statement", "comment") for each in rest)
        if wrapped is None:
            yield guard
        elif is_used or (is_all and listed == statement):
            yield guard
            yield wrapped
        else:
            yield wrapped
            yield guard

    def _wrapped(self, statement: Node, condition: str) -> list[_Change] | None:
        parent = statement.parent
        if statement.type != "expression_statement" or parent is None:
            return None
        if parent.type != "compound_statement" and parent.child_by_field_name("alternative"):
            return None  # that `else` would go with the new `if`
        outer = self.indentation(statement)
        text = f"if ({condition}){self.newline}{outer}{self.unit}"
        return [(statement.start_byte, statement.start_byte, text)]


# -- NULL --------------------------------------------------------------------------------------


def _null(probe: _Probe, problem: Problem) -> _Found:
    statement = probe.statement(problem)
    named = _CHECK_FIRST.search(problem.message)
    if statement is None or named is None or named[1] not in probe.identifiers(statement):
        return
    name = named[1]
    yield from _inverted(probe, statement, name)
    for changes in probe.guarded(statement, f"!{name}", name, name):
        yield f"Check `{name}` for NULL first", changes


def _inverted(probe: _Probe, statement: Node, name: str) -> _Found:
    """A check that stands before it, and leaves in the wrong case."""
    sibling = probe.listed(statement).prev_named_sibling
    while sibling is not None:
        condition = sibling.child_by_field_name("condition")
        consequence = sibling.child_by_field_name("consequence")
        if (
            sibling.type == "if_statement"
            and condition is not None
            and consequence is not None
            and re.fullmatch(rf"\(\s*{re.escape(name)}\s*\)", probe.of(condition))
            and re.match(r"\{?\s*(?:return|continue|goto)\b", probe.of(consequence))
        ):
            changes = [(condition.start_byte, condition.end_byte, f"(!{name})")]
            yield f"Turn the check around: leave where `{name}` is NULL", changes
        sibling = sibling.prev_named_sibling


def _argument_type(probe: _Probe, problem: Problem) -> _Found:
    """A value where an address is wanted, or a pointer that is known to be NULL there."""
    statement = probe.statement(problem)
    if statement is None:
        return
    for _, arguments, _ in probe.calls(statement):
        for argument in arguments:
            if argument.type != "identifier":
                continue
            name = probe.of(argument)
            yield from _inverted(probe, statement, name)
            declared = probe.declaration(name, statement)
            if declared and "*" not in declared and not probe.array_size(name):
                change = (argument.start_byte, argument.start_byte, "&")
                yield f"Pass the address of `{name}`", [change]


# -- bounds ------------------------------------------------------------------------------------


def _index(probe: _Probe, problem: Problem) -> _Found:
    statement = probe.statement(problem)
    if statement is None:
        return
    yield from _too_long(probe, statement)
    yield from _too_small_record(probe, statement)
    for node in probe.walk(statement):
        array, index = (node.child_by_field_name(name) for name in ("argument", "index"))
        if node.type != "subscript_expression" or array is None or index is None:
            continue
        size = probe.array_size(re.split(r"->|\.", probe.of(array))[-1].strip())
        if size is None or index.type == "number_literal":
            continue
        said = probe.of(index)
        if any(each.type in ("call_expression", "update_expression") for each in probe.walk(index)):
            continue  # to say it twice would do it twice
        yield from _exact_check(probe, statement, said, size)
        limit = size if re.fullmatch(r"\w+", size) else f"({size})"
        names = list(probe.identifiers(index))
        is_unsigned = len(names) == 1 == len(said.split()) and probe.is_unsigned(
            names[0], statement
        )
        wrong = f"{said} >= {limit}" if is_unsigned else f"{said} < 0 || {said} >= {limit}"
        right = f"{said} < {limit}" if is_unsigned else f"{said} >= 0 && {said} < {limit}"
        for changes in probe.guarded(statement, wrong, right, names[-1] if names else ""):
            yield f"Check `{said}` against the {size} elements that there are", changes
        n_elements = probe.number(size)
        if n_elements and not n_elements & (n_elements - 1):
            mask = f"({said}) & " if not re.fullmatch(r"\w+", said) else f"{said} & "
            mask += f"({size} - 1)" if not size.isdigit() else str(n_elements - 1)
            title = f"Keep `{said}` within the {size} elements by a mask"
            yield title, [(index.start_byte, index.end_byte, mask)], False


def _exact_check(probe: _Probe, statement: Node, index: str, size: str) -> _Found:
    """A check that lets one too many through: `index > N` for N elements."""
    body = probe.body_of(statement)
    wrong = re.compile(rf"{re.escape(index)}\s*>\s*{re.escape(size)}")
    for node in probe.walk(body):
        if node.type != "if_statement" or node.end_byte > statement.start_byte:
            continue
        condition = node.child_by_field_name("condition")
        consequence = node.child_by_field_name("consequence")
        if condition is None or consequence is None:
            continue
        for each in probe.walk(condition):
            operator = each.child_by_field_name("operator")
            if operator is None or not wrong.fullmatch(probe.of(each)):
                continue
            changes: list[_Change] = [(operator.start_byte, operator.end_byte, ">=")]
            for assigned in probe.walk(consequence):
                right = assigned.child_by_field_name("right")
                left = assigned.child_by_field_name("left")
                if (
                    assigned.type == "assignment_expression"
                    and left is not None
                    and right is not None
                    and (probe.of(left), probe.of(right)) == (index, size)
                ):
                    changes.append((right.end_byte, right.end_byte, " - 1"))
            yield f"Correct the check by one: the last element is {size} - 1", changes


def _too_long(probe: _Probe, statement: Node) -> _Found:
    """A length that is a number, and larger than the array that stands before it."""
    for callee, arguments, _ in probe.calls(statement):
        for target, length in itertools.pairwise(arguments):
            said = re.sub(r"^(?:\([^()]*\)\s*)?&?", "", probe.of(target))
            name = re.split(r"->|\.", said)[-1]
            size = probe.array_size(name) if re.fullmatch(r"[\w.>-]+", said) else None
            n_there = probe.number(size) if size else None
            n_wanted = probe.number(probe.of(length))
            if n_there is not None and n_wanted is not None and n_wanted > n_there:
                change = (length.start_byte, length.end_byte, f"sizeof({said})")
                yield f"Let {callee.rpartition('.')[2]}() write no more than there is", [change]


def _too_small_record(probe: _Probe, statement: Node) -> _Found:
    """A record that was reserved with fewer bytes than its struct has."""
    for node in probe.walk(probe.body_of(statement)):
        left = node.child_by_field_name("declarator") or node.child_by_field_name("left")
        right = node.child_by_field_name("value") or node.child_by_field_name("right")
        if node.type not in ("init_declarator", "assignment_expression") or not left or not right:
            continue
        name = probe.of(left).lstrip("* ")
        if name not in probe.identifiers(statement):
            continue
        for callee, arguments, _ in probe.calls(right):
            for size in arguments:
                if callee.endswith("_reserve") and size.type == "number_literal":
                    if size != arguments[0 if "." in callee else -2]:
                        continue
                    change = (size.start_byte, size.end_byte, f"sizeof(*{name})")
                    yield f"Reserve room for the whole of `{name}`", [change]


def _length(probe: _Probe, problem: Problem) -> _Found:
    """A length without a bound: as much as the buffer before it has."""
    at = probe.offset(problem.span.line, problem.span.column or 1)
    statement = probe.statement(problem)
    if statement is None:
        return
    for _, arguments, _ in probe.calls(statement):
        for target, length in itertools.pairwise(arguments):
            if not length.start_byte <= at < length.end_byte or length.type != "identifier":
                continue
            name, said = probe.of(length), probe.of(target).lstrip("&")
            if not re.fullmatch(r"[\w.>-]+", said):
                continue
            is_pointer = "*" in probe.declaration(said, statement) and not probe.array_size(said)
            limit = f"sizeof({'*' if is_pointer else ''}{said})"
            before = probe.content[: statement.start_byte].decode("utf-8", "replace")
            is_known = re.search(rf"\b{name}\s*(?:<|<=|>|>=)\s*[01]\b", before)
            listed = probe.listed(statement)
            if is_known or probe.is_unsigned(name, statement):
                lines = [f"if ({name} > {limit})", f"{probe.unit}{name} = {limit};"]
                yield f"Cut `{name}` to what `{said}` can hold", [probe.before(listed, lines)]
            for changes in probe.guarded(
                statement, f"{name} > {limit}", f"{name} <= {limit}", name
            ):
                yield f"Check `{name}` against the size of `{said}`", changes


def _zero_length(probe: _Probe, problem: Problem) -> _Found:
    at = probe.offset(problem.span.line, problem.span.column or 1)
    statement = probe.statement(problem)
    if statement is None:
        return
    for _, arguments, _ in probe.calls(statement):
        for length in arguments[1:]:
            if length.start_byte <= at < length.end_byte and length.type == "identifier":
                name = probe.of(length)
                for changes in probe.guarded(statement, f"!{name}", name, name):
                    yield f"Check that `{name}` is not 0", changes


# -- references --------------------------------------------------------------------------------


def _leak(probe: _Probe, problem: Problem) -> _Found:
    """Give back what was acquired before each return that does not."""
    acquired = probe.statement(problem)
    release = _release(probe, problem, acquired) if acquired is not None else None
    if acquired is None or release is None:
        return
    name, call = release
    returns = [
        node
        for node in probe.walk(probe.body_of(acquired))
        if node.type == "return_statement"
        and node.start_byte > acquired.start_byte
        and not _gives_back(probe, node, name)
    ]
    told = {each.span.line for each in problem.related}
    returns.sort(key=lambda node: node.start_point[0] + 1 not in told)
    title = f"Give `{name}` back before the return" if name else f"Call {call} before the return"
    for node in returns:
        yield title, probe.before_even_if_single(node, call)
    if len(returns) > 1:
        together = [
            change for node in returns for change in probe.before_even_if_single(node, call)
        ]
        yield title.replace("the return", "each return"), together


def _release(probe: _Probe, problem: Problem, acquired: Node) -> tuple[str, str] | None:
    """What is held, and the call that gives it back."""
    for callee, arguments, node in probe.calls(acquired):
        if not node.start_point[0] + 1 <= problem.span.line <= node.end_point[0] + 1:
            continue
        if callee.endswith(("_reserve_dynptr", "_iter_num_new")) or re.search(
            r"_iter_\w+_new$", callee
        ):
            held = arguments[-1] if "dynptr" in callee else arguments[0]
            name = probe.of(held).lstrip("&")
            ends = callee.replace("reserve_dynptr", "discard_dynptr").replace("_new", "_destroy")
            more = ", 0" if "dynptr" in callee else ""
            return name, f"{ends}(&{name}{more});"
        held_in = re.search(
            rf"(\w+)\s*=\s*(?:\([^()]*\)\s*)?{re.escape(probe.of(node))}", probe.of(acquired)
        )
        if held_in is None:
            continue
        name = held_in[1]
        if callee.endswith("ringbuf_reserve"):
            ends = callee.replace("ringbuf_reserve", "ringbuf_discard")
            return name, f"{ends}({name}, 0);"
        if match := re.fullmatch(r"bpf_(\w+?)_(?:from_\w+|acquire\w*)", callee):
            return name, f"bpf_{match[1]}_release({name});"
    return None


def _gives_back(probe: _Probe, node: Node, name: str) -> bool:
    """Whether a return comes after a release in its block, or is for where there is nothing."""
    parent = node.parent
    if parent is not None and parent.type == "compound_statement":
        parent = parent.parent
    if parent is not None and parent.type == "if_statement":
        condition = parent.child_by_field_name("condition")
        said = probe.of(condition) if condition is not None else ""
        if re.fullmatch(rf"\(\s*(?:!\s*{name}|{name}\s*==\s*(?:NULL|0))\s*\)", said):
            return True
    sibling = node.prev_named_sibling
    while sibling is not None:
        for callee, arguments, _ in probe.calls(sibling):
            if any(word in callee for word in _RELEASES) and any(
                name in probe.of(each) for each in arguments
            ):
                return sibling.type == "expression_statement"
        sibling = sibling.prev_named_sibling
    return False


def _lock(probe: _Probe, problem: Problem) -> _Found:
    """End what was begun before the return."""
    named = re.search(r"before each return: (\w+)", problem.message)
    statement = probe.statement(problem)
    if named is None or statement is None:
        return
    body = probe.body_of(statement)
    begun = (
        named[1].replace("unlock", "lock").replace("enable", "disable").replace("restore", "save")
    )
    argument = next(
        (
            ", ".join(map(probe.of, arguments))
            for callee, arguments, _ in probe.calls(body or statement)
            if callee == begun
        ),
        None,
    )
    if argument is None:
        return
    call = f"{named[1]}({argument});"
    start = next(
        node.start_byte for callee, _, node in probe.calls(body or statement) if callee == begun
    )
    for node in probe.walk(body):
        if node.type != "return_statement" or node.start_byte < start:
            continue
        before = node.prev_named_sibling
        if before is None or named[1] not in probe.of(before):
            yield f"Call {named[1]}() before the return", probe.before_even_if_single(node, call)


def _second_release(probe: _Probe, problem: Problem) -> _Found:
    """`if (…) submit(x); discard(x);`: the second belongs into an `else`."""
    statement = probe.statement(problem)
    before = statement.prev_named_sibling if statement is not None else None
    if statement is None or before is None or before.type != "if_statement":
        return
    if before.child_by_field_name("alternative") is not None:
        return
    released = [
        probe.of(arguments[0]) for callee, arguments, _ in probe.calls(statement) if arguments
    ]
    gap = probe.content[before.end_byte : statement.start_byte]
    if not gap.strip() and any(
        arguments and probe.of(arguments[0]) in released and any(w in callee for w in _RELEASES)
        for callee, arguments, _ in probe.calls(before)
    ):
        line = f"{probe.newline}{probe.indentation(before)}"
        change = (before.end_byte, statement.start_byte, f"{line}else{line}{probe.unit}")
        yield f"Give `{released[0]}` back only where it was not: `else`", [change]


def _use_after(probe: _Probe, problem: Problem) -> _Found:
    """Hand it over after the last use in the same block."""
    statement = probe.statement(problem)
    if statement is None or statement.parent is None:
        return
    siblings = list(statement.parent.named_children)
    for index, before in enumerate(siblings):
        if before.start_byte >= statement.start_byte or before.type != "expression_statement":
            continue
        for callee, arguments, _ in probe.calls(before):
            if not arguments or not any(word in callee for word in _RELEASES):
                continue
            name = probe.of(arguments[0])
            last = next(
                (
                    each
                    for each in reversed(siblings[index + 1 :])
                    if name in probe.identifiers(each)
                ),
                None,
            )
            if not re.fullmatch(r"\w+", name) or last is None or last.type == "return_statement":
                continue
            start = before.start_byte
            end = before.end_byte
            gap = re.match(rb"\s*", probe.content[end:])
            end += gap.end() if gap else 0
            moved = probe.after(last, [probe.of(before)])
            yield f"Hand `{name}` over after its last use", [(start, end, ""), moved]


def _released_part(probe: _Probe, problem: Problem) -> _Found:
    """`submit(&p->field)`: the record is `p`."""
    statement = probe.statement(problem)
    if statement is None:
        return
    for callee, arguments, _ in probe.calls(statement):
        match = arguments and re.fullmatch(r"&(\w+)->[\w.]+", probe.of(arguments[0]))
        if match and any(word in callee for word in _RELEASES):
            change = (arguments[0].start_byte, arguments[0].end_byte, match[1])
            yield f"Pass `{match[1]}` as it was reserved", [change]


# -- values ------------------------------------------------------------------------------------


def _unset(probe: _Probe, problem: Problem) -> _Found:
    if "result of this function" in problem.message:
        yield from _no_return(probe, problem)
        return
    statement = probe.statement(problem)
    body = probe.body_of(statement) if statement is not None else None
    if statement is None or body is None:
        return
    used = set(probe.identifiers(statement))
    for node in probe.walk(body):
        if node.type != "declaration" or node.start_byte > statement.start_byte:
            continue
        for declarator in node.children_by_field_name("declarator"):
            if declarator.type == "identifier" and probe.of(declarator) in used:
                name = probe.of(declarator)
                change = (declarator.end_byte, declarator.end_byte, " = 0")
                yield f"Give `{name}` a value where it is declared", [change]


def _no_return(probe: _Probe, problem: Problem) -> _Found:
    function = probe.source.function(problem.program) or probe.source.function_at(problem.span.line)
    if function is None:
        return
    end = probe.offset(function.last_line)
    line = probe.source.code(function.last_line)
    if not line.startswith("}"):
        return
    yield "Return 0 at the end", [(end, end, f"{probe.unit}return 0;{probe.newline}")]


def _uninitialised(probe: _Probe, problem: Problem) -> _Found:
    """Set all of a local to zero."""
    statement = probe.statement(problem)
    body = probe.body_of(statement) if statement is not None else None
    if statement is None or body is None:
        return
    used = set(probe.identifiers(statement))
    for node in probe.walk(body):
        if node.type != "declaration" or node.start_byte > statement.start_byte:
            continue
        for declarator in node.children_by_field_name("declarator"):
            name = re.match(r"\w+", probe.of(declarator))
            if declarator.type in ("identifier", "array_declarator") and name and name[0] in used:
                change = (declarator.end_byte, declarator.end_byte, " = {}")
                yield f"Set all of `{name[0]}` to zero", [change]


def _dereference(probe: _Probe, problem: Problem) -> _Found:
    """Read through a helper what a number points to."""
    statement = probe.statement(problem)
    if statement is None:
        return
    for node in probe.walk(statement):
        value = node.child_by_field_name("value")
        declarator = node.child_by_field_name("declarator")
        pointer = value.child_by_field_name("argument") if value is not None else None
        if (
            node.type == "init_declarator"
            and value is not None
            and declarator is not None
            and pointer is not None
            and value.type == "pointer_expression"
            and probe.of(value).startswith("*")
            and declarator.type == "identifier"
        ):
            name = probe.of(declarator)
            where = "user" if _is_of_a_system_call(probe, problem) else "kernel"
            bare = (
                pointer.child_by_field_name("value") if pointer.type == "cast_expression" else None
            )
            said = probe.of(bare or pointer)
            call = f"bpf_probe_read_{where}(&{name}, sizeof({name}), (void *){said});"
            yield (
                f"Read `{name}` with bpf_probe_read_{where}()",
                [
                    (value.start_byte, value.end_byte, "0"),
                    probe.after(statement, [call]),
                ],
            )
    if probe.is_bcc:
        return
    at = probe.offset(problem.span.line, problem.span.column or 1)
    for node in probe.walk(statement):
        if node.type != "field_expression" or not node.start_byte <= at < node.end_byte:
            continue
        match = re.fullmatch(r"(\w+)->([\w]+(?:->\w+)*)", probe.of(node))
        parent = node.parent
        is_written = parent is not None and (
            parent.type in ("update_expression", "pointer_expression")
            or (
                parent.type == "assignment_expression"
                and parent.child_by_field_name("left") == node
            )
        )
        if match is None or is_written:
            continue
        fields = ", ".join([match[1], *match[2].split("->")])
        changes = [(node.start_byte, node.end_byte, f"BPF_CORE_READ({fields})")]
        if "bpf_core_read.h" not in probe.text:
            included = list(re.finditer(rb"(?m)^#\s*include\s.*$", probe.content))
            end = included[-1].end() if included else 0
            changes.append((end, end, f"{probe.newline}#include <bpf/bpf_core_read.h>"))
        yield f"Read `{probe.of(node)}` with BPF_CORE_READ()", changes


def _is_of_a_system_call(probe: _Probe, problem: Problem) -> bool:
    """Whether what it is handed are addresses of the program, not of the kernel."""
    function = probe.source.function(problem.program)
    lines = range(function.attached_at.line, function.head.line + 1) if function else ()
    return any("syscalls" in probe.source.lines[line - 1] for line in lines)


def _return_range(probe: _Probe, problem: Problem) -> _Found:
    """A callback's -1: what ends a loop is 1."""
    line = problem.span.line
    code = probe.source.code(line)
    if match := re.search(r"(?<![\w)\]])-\s*1\b", code):
        start = probe.offset(line, match.start() + 1)
        change = (start, start + len(match[0].encode()), "1")
        yield "Return 1, which ends the loop as well", [change]


def _constant(probe: _Probe, problem: Problem) -> _Found:
    """A global that is written to is no constant."""
    statement = probe.statement(problem)
    if statement is None:
        return
    used = set(probe.identifiers(statement))
    for node in probe.root.named_children:
        if node.type != "declaration":
            continue
        named = [name for name in probe.identifiers(node) if name in used]
        for each in node.named_children:
            if named and each.type == "type_qualifier" and probe.of(each) == "const":
                end = (
                    each.end_byte
                    + len(probe.content[each.end_byte :])
                    - len(probe.content[each.end_byte :].lstrip())
                )
                change = (each.start_byte, end, "")
                yield f"Take the const away from `{named[0]}`", [change]


def _licence(probe: _Probe, _problem: Problem) -> _Found:
    title = "Declare the probe to be under the GPL"
    pattern = (
        rb'(?m)^[ \t]*#define[ \t]+BPF_LICENSE[ \t]+(.+?)[ \t\r]*$|SEC\("license"\)\s*=\s*"([^"]*)"'
    )
    if match := re.search(pattern, probe.content):
        group = 1 if match[1] is not None else 2
        yield title, [(match.start(group), match.end(group), "GPL")], False
    elif not probe.is_bcc:
        end = len(probe.content.rstrip())
        line = f'{probe.newline * 2}char LICENSE[] SEC("license") = "GPL";'
        yield title, [(end, end, line)], False


def _loop(probe: _Probe, problem: Problem) -> _Found:
    """`while (…)` with a bound."""
    statement = probe.statement(problem)
    if statement is not None and statement.type != "while_statement":
        statement = probe.loop_around(statement)
    condition = statement.child_by_field_name("condition") if statement is not None else None
    if statement is None or condition is None or statement.type != "while_statement":
        return
    name = probe.unused("round")
    said = probe.of(condition)
    head = f"for (int {name} = 0; {name} < {MAX_ROUNDS} && {said}; {name}++)"
    change = (statement.start_byte, condition.end_byte, head)
    yield f"End the loop after {MAX_ROUNDS} rounds", [change], False


# -- maps, targets, and what the compiler says -------------------------------------------------


def _map(probe: _Probe, problem: Problem) -> _Found:
    named = re.search(r"the map `(\w+)`", problem.message)
    if named is None:
        return
    name = named[1]
    ring = re.compile(rf"BPF_RINGBUF_OUTPUT\(\s*{name}\s*,\s*(\d+)\s*\)")
    if match := ring.search(probe.text):
        n_pages = 1 << max(0, int(match[1]) - 1).bit_length()
        start = len(probe.text[: match.start(1)].encode())
        change = (start, start + len(match[1]), str(n_pages))
        yield f"Give `{name}` {n_pages} pages, a power of two", [change]
        return
    body = re.search(rf"struct\s*\w*\s*\{{([^{{}}]*)\}}\s*{name}\s+SEC", probe.text)
    if body is None:
        return
    start = len(probe.text[: body.start(1)].encode())
    if "RINGBUF" in body[1] and "max_entries" not in body[1]:
        first = re.search(r"([ \t]*)__uint\([^\n]*\n", body[1])
        if first:
            at = start + len(body[1][: first.end()].encode())
            line = f"{first[1]}__uint(max_entries, 256 * 1024);{probe.newline}"
            yield f"Give `{name}` a size of 256 KB", [(at, at, line)], False
    elif re.search(r"_ARRAY\b", body[1]) and (key := re.search(r"__type\(key,\s*(\w+)\)", body[1])):
        at = start + len(body[1][: key.start(1)].encode())
        yield f"Index `{name}` by u32, as arrays are", [(at, at + len(key[1]), "u32")]


def _target(probe: _Probe, problem: Problem) -> _Found:
    """The nearest names that this kernel has."""
    told = _NEAREST.search(problem.message)
    if told is None:
        return
    names = re.split(r", | or ", told["names"])
    line = probe.source.lines[problem.span.line - 1]
    wrong = told["wrong"].split("/")
    for name in names[:3]:
        new = line
        for old, right in zip(reversed(wrong), reversed(name.split("/")), strict=False):
            new = re.sub(rf"\b{re.escape(old)}\b", right, new)
        start = probe.offset(problem.span.line)
        end = start + len(line.encode())
        yield f"Attach it to {name}", [(start, end, new)], len(names) == 1


def _section(probe: _Probe, problem: Problem) -> _Found:
    match = re.search(r'SEC\("(\??)(\w+)', probe.source.lines[problem.span.line - 1])
    near = match and difflib.get_close_matches(match[2], _SECTION_KINDS, 1, 0.7)
    if match and near:
        start = probe.offset(problem.span.line, match.start(2) + 1)
        yield f'Spell it "{near[0]}"', [(start, start + len(match[2]), near[0])]


def _compiler(probe: _Probe, problem: Problem) -> _Found:
    span = problem.span
    if span.column is None:
        return
    at = probe.offset(span.line, span.column)
    if meant := _MEANT.search(problem.message):
        end = probe.offset(span.line, span.end_column or span.column)
        wrong = re.search(r"'(\w+)'", problem.message)
        if wrong and probe.content[at:end].decode("utf-8", "replace") == wrong[1]:
            yield f"Write `{meant[1]}`", [(at, end, meant[1])], False
        elif wrong:  # in a macro that this line uses
            used = list(re.finditer(rf"(?:->|\.)\s*({wrong[1]})\b", probe.text))
            if len(used) == 1:
                start = len(probe.text[: used[0].start(1)].encode())
                change = (start, start + len(wrong[1]), meant[1])
                yield f"Write `{meant[1]}`", [change], False
    elif problem.message.startswith("expected ';' "):
        for line in (span.line, span.line - 1):
            code = probe.source.code(line).rstrip() if line else ""
            if code and not code.endswith((";", "{", "}")):
                end = probe.offset(line, len(code) + 1)
                yield "Add the missing `;`", [(end, end, ";")]
    elif "no signed division" in problem.message:
        yield from _division(probe, at)
    elif "512 bytes of stack" in problem.message:
        yield from _large_local(probe, at)


def _division(probe: _Probe, at: int) -> _Found:
    node: Node | None = probe.root.descendant_for_byte_range(at, at + 1)
    while node is not None and node.type not in ("binary_expression", "assignment_expression"):
        node = node.parent
    operator = node.child_by_field_name("operator") if node is not None else None
    if node is None or operator is None or probe.of(operator) not in ("/", "%"):
        return
    changes: list[_Change] = []
    for side in ("left", "right"):
        operand = node.child_by_field_name(side)
        if operand is None or operand.type == "number_literal":
            continue
        opened = "(u64)" if operand.type != "binary_expression" else "(u64)("
        changes.append((operand.start_byte, operand.start_byte, opened))
        if operand.type == "binary_expression":
            changes.append((operand.end_byte, operand.end_byte, ")"))
    if changes:
        yield "Divide as unsigned numbers", changes


def _large_local(probe: _Probe, at: int) -> _Found:
    """A local struct that is too large for the stack, in a per-CPU array of one element."""
    statement = probe.statement_at(at)
    body = probe.body_of(statement) if statement is not None else None
    if statement is None or body is None or not probe.is_bcc:
        return
    match = re.fullmatch(r"(struct\s+\w+)\s+(\w+)\s*(=\s*\{\s*0?\s*\})?\s*;", probe.of(statement))
    function = probe.source.function_at(statement.start_point[0] + 1)
    if match is None or function is None or statement.parent != body:
        return
    kind, name = match[1], match[2]
    room, zero = probe.unused(f"{name}_room"), probe.unused("zero")
    head = probe.offset(min(function.first_line, function.attached_at.line))
    lines = [
        f"u32 {zero} = 0;",
        f"{kind} *{name} = {room}.lookup(&{zero});",
        f"if (!{name})",
        f"{probe.unit}{probe.leave(statement)}",
    ]
    if match[3]:
        lines.append(f"__builtin_memset({name}, 0, sizeof(*{name}));")
    indentation = probe.indentation(statement)
    changes: list[_Change] = [
        (head, head, f"BPF_PERCPU_ARRAY({room}, {kind}, 1);{probe.newline * 2}"),
        (
            statement.start_byte,
            statement.end_byte,
            f"{probe.newline}{indentation}".join(lines),
        ),
    ]
    for node in probe.walk(body):
        if node.type != "identifier" or probe.of(node) != name or node.parent is None:
            continue
        if node.start_byte < statement.end_byte:
            continue
        parent = node.parent
        operator = parent.child_by_field_name("operator")
        if parent.type == "field_expression" and operator is not None:
            changes.append((operator.start_byte, operator.end_byte, "->"))
        elif parent.type == "pointer_expression" and probe.of(parent).startswith("&"):
            changes.append((parent.start_byte, parent.end_byte, name))
        else:
            changes.append((node.start_byte, node.end_byte, f"*{name}"))
    yield f"Keep `{name}` in a per-CPU array: the stack has 512 bytes", changes


_RULES: dict[str, Callable[[_Probe, Problem], _Found]] = {
    **dict.fromkeys(("null-deref", "null-arith", "null-path", "null-arg", "untrusted-ptr"), _null),
    "arg-type": _argument_type,
    **dict.fromkeys(
        (
            "map-value-bounds mem-bounds unbounded-index negative-index ptr-math-unbounded"
            " ptr-math-range outside-range stack-bounds"
        ).split(),
        _index,
    ),
    "helper-size": _length,
    "helper-zero-size": _zero_length,
    "ref-leak": _leak,
    "lock-held": _lock,
    "release-not-owned": _second_release,
    "use-after-release": _use_after,
    "release-offset": _released_part,
    "uninit-reg": _unset,
    "no-exit": _no_return,
    "stack-uninit": _uninitialised,
    "scalar-deref": _dereference,
    "return-range": _return_range,
    "rodata-write": _constant,
    "gpl-only": _licence,
    "infinite-loop": _loop,
    "too-many-insns": _loop,
    "refused": _map,
    "no-such-target": _target,
    "section-name": _section,
    "clang": _compiler,
}
