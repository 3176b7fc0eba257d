"""Whether a change that a model proposes may be tried.

A click on "Try this fix" runs the changed code, so it must be small, stay within what the model
was shown, leave the file's syntax whole, leave its tests as strong as they were, and call nothing
that the file does not call already, but for standard ways to wait and to bound. Whether it helps
is for `fixes` to find out.

Not here: applying it.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linnix_ls.core.findings import Edit, Finding, Patch
from linnix_ls.core.text import visible
from linnix_ls.explain.base import Excerpt, RefusedProbe
from linnix_ls.explain.prompt import told_lines
from linnix_ls.explain.redaction import HIDDEN
from linnix_ls.explain.vocabulary import API_WORDS, KEYWORDS, LOCAL_NAME, SAFE_CALLS, SAFE_IMPORTS
from linnix_ls.sources import parse_python, parsed

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_LINES = 20
MIN_PART_CHARS = 8
MAX_CHARS = 2_000
MAX_PARSED_CHARS = 512 << 10

_MARGIN = re.compile(r"^>? {0,6}\d{1,6}\| ?")
_WORD = re.compile(r"[A-Za-z_]\w*")
# Comments do nothing, and strings are looked at apart.
_STRING = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\\n])*`")
_COMMENT = {
    "python": r"#[^\n]*",
    "shell": r"(?<!\S)#[^\n]*",
    "perl": r"(?<!\S)#[^\n]*",
}
_C_COMMENT = r"//[^\n]*|/\*.*?\*/"
_TEST_FILE = re.compile(
    r"(?:^|/)(?:tests?|__tests__|specs?)/|(?:^|/)(?:test_[^/]*|[^/]*[._-]tests?\.\w+|[^/]*\.spec\.\w+"
    r"|conftest\.py|Test\w*\.java|\w*Tests?\.java)$|\.(?:bats|t)$"
)
_CHECKS = re.compile(
    r"\b(?:assert\w*|expect\w*|EXPECT_\w+|ASSERT_\w+|should\w*|verify\w*|is_deeply|is_ok|pytest\.raises"
    r"|fail\w*|CHECK\w*|REQUIRE\w*)\b"
)
_GIVES_UP = re.compile(
    r"\b(?:skip\w*|xfail\w*|ignore\w*|disabled?|only|todo|return|exit\w*|quit)\b", re.IGNORECASE
)
_SAFE_STRING = re.compile(r"[\w ,.:;!?%{}()'=+-]{0,120}")
_COMMAND_WORD = re.compile(
    r"\s*(?:sudo|rm|mv|cp|dd|sh|bash|zsh|python\d?|perl|node|curl|wget|nc|ssh|chmod|chown|kill\w*"
    r"|pkill|mkfs\w*|eval|exec|git|npm|pip\d?|apt\w*|make|docker)\b",
    re.IGNORECASE,
)
_PAIRS = (
    *((r"\(", r"\)"), (r"\[", r"\]"), (r"\{", r"\}")),
    *((r"\bdo\b", r"\bdone\b"), (r"\bif\b", r"\bfi\b"), (r"\bcase\b", r"\besac\b")),
)
_REDIRECTION = re.compile(r"\d?(?:[<>]+&?|&>+)\s?[^\s;)]*")
_BACKGROUND = re.compile(r"(?<![&>])&(?![&>\d])")
_CALL_NODES = {
    "shell": "command",
    "java": "method_invocation object_creation_expression",
    "javascript": "call_expression new_expression",
    "c": "call_expression",
    "bpf": "call_expression",
    "c++": "call_expression new_expression",
    "rust": "call_expression macro_invocation",
}
_CALL_NODES["typescript"] = _CALL_NODES["tsx"] = _CALL_NODES["javascript"]


class BadPatch(Exception):
    """Why it may not be tried."""


def patch_from(
    old: str, new: str, model: str, finding: Finding | RefusedProbe, excerpt: Excerpt | None
) -> Patch:
    """The change, with the lines as they truly are.

    Raises:
        BadPatch: it may not be tried.
    """
    if excerpt is None:
        raise BadPatch("no source was shown")
    if len(old) + len(new) > MAX_CHARS:
        raise BadPatch("it is too long")
    old_lines, new_lines = _lines(old), _lines(new)
    if not old_lines or not "".join(new_lines).strip():
        raise BadPatch("it only removes or only adds")
    if max(len(old_lines), len(new_lines)) > MAX_LINES:
        raise BadPatch("it has too many lines")
    for line in (*old_lines, *new_lines):
        if HIDDEN in line or visible(line.replace("\t", " "), MAX_CHARS + 1) != line.replace(
            "\t", " "
        ):
            raise BadPatch("it has characters that are no code")
    if len(old_lines) == len(new_lines) == 1:
        old_lines, new_lines = _whole_line(old_lines[0], new_lines[0], excerpt)
    found = _find(old_lines, excerpt)
    true_lines = excerpt.lines[found.index : found.index + len(old_lines)]
    new_lines = tuple(found.indented(line) for line in new_lines)
    if [line.rstrip() for line in true_lines] == [line.rstrip() for line in new_lines]:
        raise BadPatch("it changes nothing")
    change = _Change(finding, excerpt, excerpt.first_line + found.index, true_lines, new_lines)
    change.check()
    first, last = change.line, change.line + len(true_lines) - 1
    lines = f"line {first}" if first == last else f"lines {first} to {last}"
    return Patch(
        by=model,
        title=f"Change {lines} of {visible(excerpt.path.rsplit('/', 1)[-1], 80)}",
        edits=(Edit(excerpt.path, first, "\n".join(true_lines), "\n".join(new_lines)),),
    )


def _lines(text: str) -> tuple[str, ...]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    if lines and all(_MARGIN.match(line) for line in lines if line):
        lines = [_MARGIN.sub("", line) for line in lines]
    return tuple(lines)


def _whole_line(old: str, new: str, excerpt: Excerpt) -> tuple[tuple[str], tuple[str]]:
    """The line that a part of a line is in, and what becomes of it; small models name parts."""
    part = old.strip()
    edges = rf"(?<!\w){re.escape(part)}" if part[:1].isalnum() else re.escape(part)
    pattern = re.compile(edges + (r"(?!\w)" if part[-1:].isalnum() else ""))
    places = [line for line in told_lines(excerpt) for _ in pattern.finditer(line)]
    if len(part) < MIN_PART_CHARS or len(places) != 1 or places[0].strip() == part:
        return (old,), (new,)
    return (places[0],), (pattern.sub(lambda _: new.strip(), places[0]),)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the old lines are, and how their indentation is written there."""

    index: int
    written: str
    true: str

    def indented(self, line: str) -> str:
        if not line.strip() or self.written == self.true:
            return line
        if not line.startswith(self.written):
            raise BadPatch("its lines are indented in no order")
        return self.true + line[len(self.written) :]


def _find(old_lines: Sequence[str], excerpt: Excerpt) -> _Place:
    """The one place where these lines are: as they are, or all of them indented otherwise."""
    told = [line.rstrip() for line in told_lines(excerpt)]
    true = [line.rstrip() for line in excerpt.lines]
    n = len(old_lines)

    def places(wanted: Sequence[str], lines: Sequence[str], *, is_dedented: bool) -> list[int]:
        return [
            index
            for index in range(len(lines) - n + 1)
            if _dedented(lines[index : index + n], is_dedented) == wanted
        ]

    for is_dedented in (False, True):
        found = places(_dedented(old_lines, is_dedented), told, is_dedented=is_dedented)
        if len(found) > 1:
            raise BadPatch("its lines are there more than once")
        if found:
            [index] = found
            if told[index : index + n] != true[index : index + n]:
                raise BadPatch("a secret is in these lines")
            return _Place(index, _indentation(old_lines), _indentation(true[index : index + n]))
    raise BadPatch("its lines are not in the source")


def _indentation(lines: Sequence[str]) -> str:
    first = next((line for line in lines if line.strip()), "")
    common = first[: len(first) - len(first.lstrip())]
    while not all(line.startswith(common) for line in lines if line.strip()):
        common = common[:-1]
    return common


def _dedented(lines: Sequence[str], is_dedented: bool) -> list[str]:
    common = len(_indentation(lines)) if is_dedented else 0
    return [line[common:] if line.strip() else "" for line in lines]


@dataclass(frozen=True, slots=True)
class _Change:
    finding: Finding | RefusedProbe
    excerpt: Excerpt
    line: int
    old: tuple[str, ...]
    new: tuple[str, ...]

    def check(self) -> None:
        lines = self.excerpt.all_lines or self.excerpt.lines
        at = self.line - (1 if self.excerpt.all_lines else self.excerpt.first_line)
        before = "\n".join(lines) + "\n"
        after = "\n".join([*lines[:at], *self.new, *lines[at + len(self.old) :]]) + "\n"
        if len(before) > MAX_PARSED_CHARS:
            raise BadPatch("the file is too large to see what it would do")
        language = self.excerpt.language
        self._check_strings(before)
        self._check_repetition(lines, at)
        self._check_balance()
        self._check_names(before)
        self._check_tests()
        if language == "python":
            self._check_python(before, after)
        else:
            self._check_syntax(before, after)

    def _check_tests(self) -> None:
        old, new = "\n".join(self.old), "\n".join(self.new)
        if _TEST_FILE.search(self.excerpt.path):
            if len(_CHECKS.findall(new)) < len(_CHECKS.findall(old)):
                raise BadPatch("it takes a check out of a test")
            if set(_GIVES_UP.findall(new)) - set(_GIVES_UP.findall(old)):
                raise BadPatch("it leaves a test early")
        code = [line.strip() for line in _without_comments(new, self.excerpt.language).split("\n")]
        if not any(line not in ("", "pass", ";", "{", "}", ":", "continue") for line in code):
            raise BadPatch("it only removes")

    def _check_repetition(self, lines: Sequence[str], at: int) -> None:
        """Small models copy on beyond what they replace."""
        old = {line.strip() for line in self.old}
        around = [*lines[max(0, at - 8) : at], *lines[at + len(self.old) :][:8]]
        again = {line.strip() for line in self.new} & {line.strip() for line in around} - old
        if any(len(line) >= 12 for line in again):
            raise BadPatch("it repeats lines that stay")

    def _check_balance(self) -> None:
        """Grammars forgive much: to bash's, a `done` too many is the name of a command."""
        language = self.excerpt.language
        old, new = (_code("\n".join(lines), language) for lines in (self.old, self.new))
        for opening, closing in _PAIRS if language == "shell" else _PAIRS[:3]:
            balances = [
                len(re.findall(opening, code)) - len(re.findall(closing, code))
                for code in (old, new)
            ]
            if balances[0] != balances[1]:
                raise BadPatch("it breaks the file's syntax")

    def _check_strings(self, before: str) -> None:
        for match in _STRING.finditer("\n".join(self.new)):
            value = match[0][1:-1]
            if value in before:
                continue
            if _SAFE_STRING.fullmatch(value) is None or _COMMAND_WORD.match(value):
                raise BadPatch("it has a new text that may be a command, a path or a URL")

    def _check_names(self, before: str) -> None:
        """Each name is the file's, the language's, a standard way to wait, or a new variable's."""
        code = _code("\n".join(self.new), self.excerpt.language)
        safe = SAFE_CALLS.get(self.excerpt.language, frozenset())
        known = set(_WORD.findall(before)) | KEYWORDS | SAFE_IMPORTS
        known |= {word for name in safe for word in _WORD.findall(name)}
        is_shell = self.excerpt.language == "shell"
        for word in set(_WORD.findall(code)) - known:
            if word.startswith("__") or not LOCAL_NAME.fullmatch(word):
                raise BadPatch(f"it has the unknown name {word}")
        if is_shell:
            old = "\n".join(self.old)
            for name in re.findall(r"(?<![\w-])([A-Z_][A-Z0-9_]*)\+?=", code):
                if f"{name}=" not in old and name != "SECONDS":
                    raise BadPatch(f"it sets {name}")
            code = re.sub(r"\(\(.*?\)\)", "", code)
            if set(_REDIRECTION.findall(code)) - set(
                _REDIRECTION.findall(_STRING.sub('""', before))
            ):
                raise BadPatch("it redirects to something new")
            if set(_BACKGROUND.findall(code)) - set(_BACKGROUND.findall(old)):
                raise BadPatch("it starts something in the background")

    def _is_of_old_names(self, call: str) -> bool:
        """Whether a call that was there has, if anything, other numbers, or a way to wait."""
        names = set(_WORD.findall(_STRING.sub('""', call)))
        names -= set(_WORD.findall("\n".join(self.old))) | KEYWORDS
        names -= API_WORDS.get(self.excerpt.language, frozenset())
        return all(LOCAL_NAME.fullmatch(name) for name in names)

    # -- Python ----------------------------------------------------------------------------------

    def _check_python(self, before: str, after: str) -> None:
        old_tree, new_tree = parse_python(before), parse_python(after)
        if old_tree is None:
            raise BadPatch("the file's syntax is not whole")
        if new_tree is None:
            raise BadPatch("it breaks the file's syntax")
        modules = _modules(old_tree)
        new_span = range(self.line, self.line + len(self.new))
        known_calls = {_unparsed(node) for node in ast.walk(old_tree) if isinstance(node, ast.Call)}
        known_attributes = {
            name for node in ast.walk(old_tree) if (name := _dotted(node)) is not None
        }
        known_names = {node.id for node in ast.walk(old_tree) if isinstance(node, ast.Name)}
        called_before = set(_called(old_tree, range(self.line, self.line + len(self.old))))
        bound = known_names | _bound(new_tree)
        imported = modules | _modules(new_tree)
        safe = SAFE_CALLS["python"]
        for node in ast.walk(new_tree):
            if getattr(node, "lineno", 0) not in new_span:
                continue
            match node:
                case ast.Import(names=names) if any(
                    name.asname or name.name not in SAFE_IMPORTS | modules for name in names
                ):
                    raise BadPatch("it imports something new")
                case ast.ImportFrom(module=module, names=names) if any(
                    name.asname or f"{module}.{name.name}" not in safe for name in names
                ):
                    raise BadPatch("it imports something new")
                case ast.Call():
                    name = _dotted(node.func)
                    text = _unparsed(node)
                    is_known = text in known_calls or (
                        name in called_before and self._is_of_old_names(text)
                    )
                    if not is_known and not _is_safe_of_python(node.func, imported, safe):
                        raise BadPatch(f"it calls {name or 'something'}, which is new")
                    if name == self._function() and name not in called_before:
                        raise BadPatch("it makes the function call itself")
                case ast.Attribute():
                    name = _dotted(node)
                    is_of_module = name is not None and name.split(".")[0] in imported
                    if is_of_module and name not in known_attributes | safe:
                        raise BadPatch(f"it uses {name}, which is new")
                case ast.Name(id=name) if name not in bound | imported:
                    value = getattr(builtins, name, None)
                    is_exception = isinstance(value, type) and issubclass(value, Exception)
                    if not is_exception and (value is None or name not in safe):
                        raise BadPatch(f"it uses {name}, which is new here")
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
                    old_span = self.line, self.old
                    if not any(isinstance(old, type(node)) for old in _at(old_tree, *old_span)):
                        raise BadPatch("it defines something new")
                case ast.Delete() | ast.Global():
                    raise BadPatch("it deletes, or reaches out of its function")

    def _function(self) -> str | None:
        function = self.finding.location.function if self.finding.location else None
        return function.rsplit(".", 1)[-1] if function else None

    # -- others ----------------------------------------------------------------------------------

    def _check_syntax(self, before: str, after: str) -> None:
        language = self.excerpt.language or ""
        old_tree = parsed(before.encode("utf-8", "replace"), language)
        new_tree = parsed(after.encode("utf-8", "replace"), language)
        if old_tree is None or new_tree is None:
            raise BadPatch("nobody knows this language's syntax")
        old_root, new_root = old_tree.root_node, new_tree.root_node

        def walk(root: Node) -> Iterator[Node]:
            todo = [root]
            while todo:
                node = todo.pop()
                yield node
                todo += node.children

        def errors(root: Node) -> list[int]:
            return [
                node.end_byte - node.start_byte + 1
                for node in walk(root)
                if node.is_error or node.is_missing
            ]

        before_errors, after_errors = errors(old_root), errors(new_root)
        if len(after_errors) > len(before_errors) or sum(after_errors) > sum(before_errors):
            raise BadPatch("it breaks the file's syntax")
        kinds = _CALL_NODES[language].split()

        def calls(root: Node, n_lines: int | None) -> Iterator[str]:
            for node in walk(root):
                at = node.start_point[0] + 1
                if node.type in kinds and (
                    n_lines is None or self.line <= at < self.line + n_lines
                ):
                    yield " ".join((node.text or b"").decode("utf-8", "replace").split())

        known = set(calls(old_root, None))
        called_before = {_callee(call, language) for call in calls(old_root, len(self.old))}
        safe = SAFE_CALLS[language]
        for call in calls(new_root, len(self.new)):
            callee = _callee(call, language)
            if callee == self._function() and callee not in called_before:
                raise BadPatch("it makes the function call itself")
            if call in known:
                continue
            if language == "shell" and callee == "timeout":
                inner = re.fullmatch(
                    r"timeout (?:\d+(?:\.\d+)?[smh]?|\"?\$\{?\w+\}?\"?) (.+)", call
                )
                if inner is None or inner[1] not in known:
                    raise BadPatch("it runs something new")
                continue
            last = re.split(r"\.|->|::", callee)[-1]
            names = {callee, last} if language != "shell" else {callee}
            is_known = callee in called_before and self._is_of_old_names(call)
            if not is_known and not names & safe:
                raise BadPatch(f"it calls {callee[:60]}, which is new")


def _callee(call: str, language: str) -> str:
    if language == "shell":
        words = [word for word in call.split(" ") if not re.match(r"\w+=", word)]
        return words[0] if words else call
    name = re.match(r"(?:new )?([^({!]*)", call)
    return name[1].strip() if name else call


def _code(text: str, language: str | None) -> str:
    """Without what is in comments and strings."""
    return _STRING.sub('""', _without_comments(text, language))


def _without_comments(text: str, language: str | None) -> str:
    return re.sub(_COMMENT.get(language or "", _C_COMMENT), "", text, flags=re.DOTALL)


def _modules(tree: ast.Module) -> set[str]:
    """The names by which a file knows modules."""
    return {
        (name.asname or name.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    }


def _bound(tree: ast.Module) -> set[str]:
    """Names that are assigned to, anywhere, or defined or imported."""
    names = {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    for node in ast.walk(tree):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                names.add(name)
            case ast.arg(arg=name):
                names.add(name)
            case ast.ExceptHandler(name=str(name)):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {(alias.asname or alias.name).split(".")[0] for alias in aliases}
    return names


def _dotted(node: ast.AST) -> str | None:
    """`a.b.c` of names and attributes; of others what follows the last of them, with a dot."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    elif not parts:
        return None
    else:
        parts.append("")
    return ".".join(reversed(parts))


def _unparsed(node: ast.AST) -> str:
    try:
        return ast.unparse(node)
    except (ValueError, RecursionError):
        return ""


def _at(tree: ast.Module, line: int, lines: Sequence[str]) -> Iterator[ast.AST]:
    span = range(line, line + len(lines))
    return (node for node in ast.walk(tree) if getattr(node, "lineno", 0) in span)


def _called(tree: ast.Module, span: range) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.lineno in span:
            name = _dotted(node.func)
            if name is not None:
                yield name


def _is_safe_of_python(function: ast.expr, modules: set[str], safe: frozenset[str]) -> bool:
    name = _dotted(function)
    if name is None:
        return False
    root, _, rest = name.partition(".")
    if not rest or root in modules:
        return name in safe
    return name.rsplit(".", 1)[-1] in safe
