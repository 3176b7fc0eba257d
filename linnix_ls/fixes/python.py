"""Rules for Python: what to change around a line, for clear cases, by the syntax of the file.

A rule says which changes to make, or nothing. It may be wrong about what the program means:
its patch is run before it is offered.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeGuard

from linnix_ls.core.findings import Cause, Finding, Kind
from linnix_ls.fixes.text import Change, Source
from linnix_ls.sources import parse_python

Proposal = tuple[str, list[Change]]

POLL_PAUSE_S = 0.01
RETRY_PAUSE_S = 0.5
MAX_FAILURES = 5
PATIENCE_S = 10

_READS = frozenset("read readline recv read1 recvfrom".split())
_POOLS = frozenset("ProcessPoolExecutor ThreadPoolExecutor Pool ThreadPool".split())
_STARTS = frozenset("Popen run call check_call check_output system".split())
_STREAM_ENDS = frozenset("ConnectionError EOFError IncompleteReadError OSError".split())
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LATER = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)
_LOOPS = (ast.While, ast.For, ast.AsyncFor)
# Loops that ask for something, and so may as well ask less often.
ASKING = frozenset({Cause.BUSY_POLL, Cause.LOCK_SPIN, Cause.OTHER})
TRYING = frozenset({Cause.RETRY_LOOP, Cause.OTHER})
_GUARD = 'if __name__ == "__main__":'


def proposals(finding: Finding, source: Source, line: int) -> Iterator[Proposal]:
    """What may help at that line of a Python file, the most fitting first."""
    tree = parse_python(source.content)
    if tree is None:
        return
    file = _File(source, tree, line)
    for rule in _RULES.get(finding.kind, ()):
        if proposal := rule(file, finding.cause):
            yield proposal


class _File:
    """A parsed file and the loop and function that a line of it lies in."""

    def __init__(self, source: Source, tree: ast.Module, line: int) -> None:
        self.source = source
        self.tree = tree
        self.line = line
        self.loop = _innermost(tree, ast.While, line)
        self.function = _innermost(tree, _FUNCTIONS, line)
        self.block: ast.AST = self.function or tree

    def start(self, node: ast.stmt | ast.expr) -> int:
        return self.source.offset(node.lineno, node.col_offset)

    def end(self, node: ast.stmt | ast.expr) -> int:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self.source.offset(node.end_lineno, node.end_col_offset)

    def text(self, node: ast.stmt | ast.expr) -> str:
        return self.source.part(self.start(node), self.end(node))

    def replaced(self, node: ast.stmt | ast.expr, new: str) -> Change:
        return Change(self.start(node), self.end(node), new)

    def before(self, node: ast.stmt, *lines: str) -> Change | None:
        """New lines before a statement, if it begins its line."""
        indentation = self.source.indentation(node.lineno)
        if len(indentation.encode()) != node.col_offset:
            return None
        return self.source.insertion(node.lineno, "\n".join(indentation + each for each in lines))

    def after(self, node: ast.stmt, *lines: str) -> Change | None:
        """New lines after a statement, if nothing else is on its lines."""
        indentation = self.source.indentation(node.lineno)
        rest = self.source.lines[(node.end_lineno or node.lineno) - 1].encode()
        rest = rest[node.end_col_offset :].strip()
        if len(indentation.encode()) != node.col_offset or (rest and not rest.startswith(b"#")):
            return None
        return self.source.insertion(
            (node.end_lineno or node.lineno) + 1, "\n".join(indentation + each for each in lines)
        )

    def module(self, name: str) -> tuple[str, list[Change]] | None:
        """What the module is called in this file, imported if need be; None where its name means
        something else."""
        imports = [node for node in self.tree.body if isinstance(node, ast.Import)]
        for node in imports:
            for alias in node.names:
                if alias.name == name:
                    return alias.asname or name, []
        if name in _bound_names(self.tree):
            return None
        following = next((node for node in imports if node.names[0].name > name), None)
        if following:
            at = following.lineno
        elif imports:
            at = (imports[-1].end_lineno or imports[-1].lineno) + 1
        else:
            at = _line_for_first_import(self.tree)
        return name, [self.source.insertion(at, f"import {name}")]

    def pause(self, seconds: float) -> tuple[str, list[Change]] | None:
        """The statement that waits, and what has to be imported for it."""
        is_async = isinstance(self.function, ast.AsyncFunctionDef)
        module = self.module("asyncio" if is_async else "time")
        if module is None:
            return None
        name, changes = module
        return f"{'await ' if is_async else ''}{name}.sleep({seconds})", changes


# -- a loop that asks without a pause -------------------------------------------------------------


def _wait_for_process(file: _File, _cause: Cause) -> Proposal | None:
    """``while p.poll() is None: pass``."""
    loop = file.loop
    if loop is None or not _does_nothing(loop.body) or not isinstance(loop.test, ast.Compare):
        return None
    called = loop.test.left
    if not (_is_call_of(called, "poll") and isinstance(loop.test.ops[0], ast.Is)):
        return None
    wait = file.text(called.func)[: -len("poll")] + "wait()"
    is_async = isinstance(file.function, ast.AsyncFunctionDef)
    if is_async or loop.orelse:
        return None
    return "Wait for the process with wait()", [file.replaced(loop, wait)]


def _wait_for_lock(file: _File, _cause: Cause) -> Proposal | None:
    """``while not lock.acquire(blocking=False): pass``."""
    loop = file.loop
    if loop is None or not _does_nothing(loop.body) or loop.orelse:
        return None
    if isinstance(file.function, ast.AsyncFunctionDef) or not isinstance(loop.test, ast.UnaryOp):
        return None
    called = loop.test.operand
    if not (isinstance(loop.test.op, ast.Not) and _is_call_of(called, "acquire")):
        return None
    arguments = [*called.args, *(keyword.value for keyword in called.keywords)]
    if len(arguments) != 1 or not _is_constant(arguments[0], False):
        return None
    acquire = file.text(called.func) + "()"
    return "Wait for the lock with acquire()", [file.replaced(loop, acquire)]


def _wait_for_queue(file: _File, _cause: Cause) -> Proposal | None:
    """``q.get_nowait()`` in a loop that goes on when the queue is empty."""
    if file.loop is None or isinstance(file.function, ast.AsyncFunctionDef):
        return None
    for handled in _inside(file.loop, ast.Try):
        handlers = [each for each in handled.handlers if "Empty" in _names(each.type)]
        if not any(_does_nothing(each.body) for each in handlers):
            continue
        for called in _calls(handled.body):
            keywords = [keyword.value for keyword in called.keywords]
            is_nowait = _is_call_of(called, "get_nowait")
            if is_nowait or (
                _is_call_of(called, "get")
                and [_is_constant(each, False) for each in [*called.args, *keywords]] == [True]
            ):
                assert isinstance(called.func, ast.Attribute)
                new = file.text(called.func.value) + ".get(timeout=0.1)"
                title = "Wait for the queue with get(timeout=0.1)"
                return title, [file.replaced(called, new)]
    return None


def _zero_timeout(file: _File, _cause: Cause) -> Proposal | None:
    """select, poll and epoll with a timeout of zero."""
    for called in _calls([file.loop] if file.loop else []):
        if not isinstance(called.func, ast.Attribute) or called.func.attr not in ("select", "poll"):
            continue
        given = [keyword.value for keyword in called.keywords if keyword.arg == "timeout"]
        if not given and len(called.args) in (1, 4):
            given = [called.args[-1]]
        if given and _is_constant(given[0], 0):
            # poll objects alone count in milliseconds.
            is_ms = called.func.attr == "poll" and b"select.poll(" in file.source.content
            new = "100" if is_ms else "0.1"
            title = f"Let {called.func.attr}() wait for a tenth of a second"
            return title, [file.replaced(given[0], new)]
    return None


def _negative_timeout(file: _File, _cause: Cause) -> Proposal | None:
    """``if a > b: break``, and then a timeout of ``a - b``, which is never above zero."""
    if file.loop is None:
        return None
    past_it = {
        (ast.dump(node.test.left), ast.dump(node.test.comparators[0]))
        for node in _inside(file.loop, ast.If)
        if isinstance(node.test, ast.Compare) and isinstance(node.test.ops[0], ast.Gt | ast.GtE)
        if isinstance(node.body[-1], ast.Break | ast.Return | ast.Raise)
    }
    for called in _calls(file.loop.body):
        for keyword in called.keywords:
            value = keyword.value
            if keyword.arg != "timeout" or not isinstance(value, ast.BinOp):
                continue
            if isinstance(value.op, ast.Sub) and (
                (ast.dump(value.left), ast.dump(value.right)) in past_it
            ):
                new = f"{file.text(value.right)} - {file.text(value.left)}"
                return f"Wait for the time that is left: {new}", [file.replaced(value, new)]
    return None


def _hang_up(file: _File, _cause: Cause) -> Proposal | None:
    """poll also reports what was not asked for: a hang-up, an error."""
    for node in _inside(file.loop, ast.BinOp) if file.loop else ():
        if isinstance(node.op, ast.BitAnd) and _last_name(node.right) == "POLLIN":
            module = file.text(node.right).removesuffix("POLLIN")
            new = f"({module}POLLIN | {module}POLLHUP | {module}POLLERR)"
            return "Read after a hang-up as well", [file.replaced(node.right, new)]
    return None


def _end_of_stream(file: _File, _cause: Cause) -> Proposal | None:
    """Something is read until it says so, and at its end nothing comes for ever."""
    if file.loop is None:
        return None
    exits = {
        name
        for node in _inside(file.loop, ast.If)
        if any(isinstance(inner, ast.Break | ast.Return | ast.Raise) for inner in ast.walk(node))
        for name in _names(node.test)
    }
    for node in _inside(file.loop, ast.Assign):
        target = node.targets[0]
        if not isinstance(target, ast.Name) or target.id in exits | _names(file.loop.test):
            continue
        if not any(_last_name(called.func) in _READS for called in _calls([node])):
            continue
        around = [each for each in ast.walk(file.block) if isinstance(each, ast.Try)]
        caught = {
            name
            for each in around
            if any(inner is node for inner in ast.walk(each))
            for handler in each.handlers
            for name in _names(handler.type)
        }
        leave = "break"
        if caught & _STREAM_ENDS:
            leave = 'raise ConnectionError("the stream has ended")'
        if change := file.after(node, f"if not {target.id}:", f"    {leave}"):
            return "Stop at the end of the stream", [change]
    return None


def _pause_when_fruitless(file: _File, cause: Cause) -> Proposal | None:
    """In the branches that do nothing but go on."""
    if file.loop is None or cause not in ASKING or _does_nothing(file.loop.body):
        return None
    pause = file.pause(POLL_PAUSE_S)
    if pause is None:
        return None
    statement, changes = pause
    made = []
    for node in _inside(file.loop, (ast.If, ast.ExceptHandler)):
        for body in (node.body, getattr(node, "orelse", [])):
            if not body or not _does_nothing(body) or isinstance(body[0], ast.Expr):
                continue
            if isinstance(body[0], ast.Pass):
                made.append(file.replaced(body[0], statement))
            elif change := file.before(body[0], statement):
                made.append(change)
    return ("Pause for 10 ms when there is nothing to do", [*changes, *made]) if made else None


def _give_up_waiting(file: _File, _cause: Cause) -> Proposal | None:
    """A loop that does nothing but ask whether something outside of it has come about."""
    loop = file.loop
    if loop is None or not _does_nothing(loop.body) or len(loop.body) != 1:
        return None
    if not _calls([loop.test]) or isinstance(file.function, ast.AsyncFunctionDef):
        return None
    module = file.module("time")
    if module is None or "give_up_s" in _bound_names(file.tree):
        return None
    name, changes = module
    before = file.before(loop, f"give_up_s = {name}.monotonic() + {PATIENCE_S}")
    ends = file.before(
        loop.body[0],
        f"if {name}.monotonic() > give_up_s:",
        f'    raise TimeoutError("still waiting after {PATIENCE_S} s")',
    )
    if before is None or ends is None:
        return None
    pause = file.replaced(loop.body[0], f"{name}.sleep({POLL_PAUSE_S})")
    title = f"Pause for 10 ms in each round, and give up after {PATIENCE_S} s"
    return title, [*changes, before, ends, pause]


def _pause_each_round(file: _File, cause: Cause) -> Proposal | None:
    loop = file.loop
    # A loop that computes does not end earlier for it.
    if loop is None or not (cause in ASKING or _does_nothing(loop.body)):
        return None
    pause = file.pause(POLL_PAUSE_S)
    if pause is None:
        return None
    statement, changes = pause
    title = "Pause for 10 ms in each round"
    if _does_nothing(loop.body) and len(loop.body) == 1:
        return title, [*changes, file.replaced(loop.body[0], statement)]
    change = file.before(loop.body[0], statement)
    return (title, [*changes, change]) if change else None


# -- processes without end ------------------------------------------------------------------------


def _main_guard(file: _File, _cause: Cause) -> Proposal | None:
    """What a process of multiprocessing imports, it does again."""
    body = file.tree.body
    at = next(
        (
            index
            for index, node in enumerate(body)
            if not isinstance(node, _LATER)
            and any(_last_name(called.func) in {*_POOLS, "Process"} for called in _calls([node]))
        ),
        None,
    )
    if at is None or any(isinstance(node, (*_LATER, ast.If)) for node in body[at:]):
        return None
    strings = (node for each in body[at:] for node in ast.walk(each))
    if any(
        isinstance(node, ast.Constant | ast.JoinedStr) and node.lineno != node.end_lineno
        for node in strings
    ):
        return None  # indenting would change it
    first, last = body[at].lineno, body[-1].end_lineno or body[-1].lineno
    start, end = file.source.offset(first), file.source.offset(last + 1) - 1
    lines = file.source.lines[first - 1 : last]
    new = "\n".join([_GUARD, *(f"    {line}" if line else "" for line in lines)])
    return "Start processes only when this file is the program", [Change(start, end, new)]


def _workers(file: _File, cause: Cause) -> Proposal | None:
    """A pool of a size that does not ask how many CPUs there are."""
    return _pool(file, cause, lambda os_name: f"{os_name}.cpu_count()", "Use one worker per CPU")


def _one_worker(file: _File, cause: Cause) -> Proposal | None:
    """A pool in a worker of another pool."""
    return _pool(file, cause, lambda _: "1", "Use one worker here")


def _pool(file: _File, cause: Cause, size: Callable[[str], str], title: str) -> Proposal | None:
    if cause is not Cause.WORKER_OVERSUBSCRIPTION:
        return None
    for called in _calls([file.tree]):
        if _last_name(called.func) not in _POOLS or not _spans(called, file.line):
            continue
        given = [*called.args[:1], *(each.value for each in called.keywords if each.arg in _SIZES)]
        module = file.module("os")
        if not given or module is None:
            continue
        new = size(module[0])
        if file.text(given[0]) != new:
            imports = module[1] if "cpu_count" in new else []
            return title, [*imports, file.replaced(given[0], new)]
    return None


_SIZES = frozenset({"max_workers", "processes"})


def _give_up(file: _File, cause: Cause) -> Proposal | None:
    """A loop that starts a program again whenever it has failed."""
    loop = file.loop
    if loop is None or cause not in TRYING or isinstance(file.function, ast.AsyncFunctionDef):
        return None
    pause = file.module("time")
    if pause is None or "n_failures" in _bound_names(file.tree):
        return None
    name, changes = pause
    for node in loop.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        value = node.value
        is_status = (isinstance(value, ast.Attribute) and value.attr == "returncode") or (
            isinstance(value, ast.Call) and _last_name(value.func) in ("call", "wait", "system")
        )
        if not is_status:
            continue
        status = node.targets[0].id
        before = file.before(loop, "n_failures = 0")
        after = file.after(
            node,
            f"n_failures = n_failures + 1 if {status} else 0",
            f"if n_failures >= {MAX_FAILURES}:",
            f'    raise RuntimeError(f"{{n_failures}} failures in a row, the last: {{{status}}}")',
            f"{name}.sleep(0.1 * n_failures)",
        )
        if before and after:
            title = f"Give up after {MAX_FAILURES} failures in a row, with pauses between them"
            return title, [*changes, before, after]
    return None


def _pause_between_tries(file: _File, cause: Cause) -> Proposal | None:
    loop = file.loop
    if loop is None or cause not in TRYING:
        return None
    if not any(_last_name(c.func) in _STARTS for c in _calls(loop.body)):
        return None
    pause = file.pause(RETRY_PAUSE_S)
    if pause is None:
        return None
    statement, changes = pause
    # At the end, so that the first try comes at once; unless a `continue` would pass it by.
    has_continue = any(True for _ in _inside(loop, ast.Continue))
    change = (
        file.before(loop.body[0], statement)
        if has_continue
        else file.after(loop.body[-1], statement)
    )
    return ("Pause for half a second between two tries", [*changes, change]) if change else None


# -- a pipe that nobody reads, a child that nobody ends -------------------------------------------


def _communicate(file: _File, _cause: Cause) -> Proposal | None:
    """``p.wait()``, and only then the reading of what p writes into its pipes."""
    for made in (node for node in ast.walk(file.block) if isinstance(node, ast.Assign)):
        if not (_is_call_of(made.value, "Popen") and isinstance(made.targets[0], ast.Name)):
            continue
        name = made.targets[0].id
        pipes = {each.arg for each in made.value.keywords if _last_name(each.value) == "PIPE"}
        reads: dict[str, list[ast.Call]] = {"stdout": [], "stderr": []}
        for called in _calls([file.block]):
            text = file.text(called)
            for stream in reads.keys() & pipes:
                if text == f"{name}.{stream}.read()":
                    reads[stream].append(called)
        for node in ast.walk(file.block):
            if not isinstance(node, ast.Assign | ast.Expr) or not (
                isinstance(node.value, ast.Call) and file.text(node.value) == f"{name}.wait()"
            ):
                continue
            if any(called.lineno < node.lineno for calls in reads.values() for called in calls):
                continue
            names = {stream: f"{name}_{stream}" if reads[stream] else "_" for stream in reads}
            call = f"{name}.communicate()"
            if any(reads.values()):
                call = f"{names['stdout']}, {names['stderr']} = {call}"
            lines = [call]
            if isinstance(node, ast.Assign):
                lines.append(f"{file.text(node.targets[0])} = {name}.returncode")
            indentation = "\n" + file.source.indentation(node.lineno)
            changes = [file.replaced(node, indentation.join(lines))]
            changes += [
                file.replaced(called, names[stream])
                for stream, calls in reads.items()
                for called in calls
            ]
            return "Read its output while waiting, with communicate()", changes
    return None


def _join_after_reading(file: _File, _cause: Cause) -> Proposal | None:
    """A process does not end before what it has put into a queue is read."""
    for node in ast.walk(file.block):
        body = getattr(node, "body", None)
        for join, reading in pairwise(_loops_that_call(body, ("join", "get"))):
            if join[1] != "join" or reading[1] != "get":
                continue
            first, last = join[0].lineno, join[0].end_lineno or join[0].lineno
            text = "\n".join(file.source.lines[first - 1 : last])
            end = (reading[0].end_lineno or reading[0].lineno) + 1
            taken = Change(file.source.offset(first), file.source.offset(last + 1), "")
            return (
                "Wait for the processes after reading their results",
                [taken, file.source.insertion(end, text)],
            )
    return None


def _loops_that_call(body: object, names: tuple[str, ...]) -> list[tuple[ast.For, str]]:
    return [
        (node, name)
        for node in (body if isinstance(body, list) else [])
        if isinstance(node, ast.For)
        for name in names
        if any(_last_name(called.func) == name for called in _calls(node.body))
    ]


def _end_with_us(file: _File, _cause: Cause) -> Proposal | None:
    """The process that is started here is ended when this one ends."""
    for node in (each for each in ast.walk(file.tree) if isinstance(each, ast.Assign)):
        if not _spans(node, file.line) or not _is_call_of(node.value, "Popen"):
            continue
        target = file.text(node.targets[0])
        named = file.function.name if file.function else ""
        if named == "setUp" and target.startswith("self."):
            change = file.after(node, f"self.addCleanup({target}.kill)")
            return ("End it after each test, with addCleanup()", [change]) if change else None
        module = file.module("atexit")
        change = file.after(node, f"{module[0]}.register({target}.kill)") if module else None
        if module and change:
            return "End it when this process ends, with atexit", [*module[1], change]
    return None


_RULES: dict[Kind, tuple[Callable[[_File, Cause], Proposal | None], ...]] = {
    Kind.CPU_SPIN: (
        _wait_for_process,
        _wait_for_lock,
        _wait_for_queue,
        _zero_timeout,
        _negative_timeout,
        _hang_up,
        _end_of_stream,
        _pause_when_fruitless,
        _give_up_waiting,
        _pause_each_round,
    ),
    Kind.FORK_STORM: (_main_guard, _workers, _one_worker, _give_up, _pause_between_tries),
    Kind.STUCK: (_communicate, _join_after_reading),
    Kind.LEAKED_CHILD: (_end_with_us,),
}


# -- reading the syntax ---------------------------------------------------------------------------


def _innermost(tree: ast.AST, kind: type | tuple[type, ...], line: int) -> Any:
    around = [node for node in ast.walk(tree) if isinstance(node, kind) and _spans(node, line)]
    return max(around, key=lambda node: getattr(node, "lineno", 0), default=None)


def _spans(node: Any, line: int) -> bool:
    return bool(node.lineno <= line <= (node.end_lineno or node.lineno))


def _inside(loop: ast.While, kind: type | tuple[type, ...]) -> Iterator[Any]:
    """Nodes of the loop's own rounds: not those of functions in it, nor of loops in it."""
    todo: list[ast.AST] = list(reversed(loop.body))
    while todo:
        node = todo.pop()
        if isinstance(node, kind):
            yield node
        if not isinstance(node, _LATER):
            todo += [
                child
                for child in reversed(list(ast.iter_child_nodes(node)))
                if not isinstance(child, ast.While)
            ]


def _calls(nodes: list[Any]) -> list[ast.Call]:
    return [inner for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Call)]


def _does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(node, ast.Pass | ast.Continue)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in body
    )


def _is_call_of(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and _last_name(node.func) == name


def _is_constant(node: ast.expr, value: object) -> bool:
    # 0 and False are equal, and not the same.
    return (
        isinstance(node, ast.Constant)
        and node.value == value
        and type(node.value)
        in (
            type(value),
            *((float,) if value == 0 and value is not False else ()),
        )
    )


def _last_name(node: ast.AST | None) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else None


def _names(node: ast.AST | None) -> set[str]:
    walked = ast.walk(node) if node else ()
    return {name for inner in walked if (name := _last_name(inner))}


def _bound_names(tree: ast.Module) -> set[str]:
    bound = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            bound.add(node.name)
    return bound


def _line_for_first_import(tree: ast.Module) -> int:
    """After the docstring and what is from __future__; before other imports."""
    at = 1
    for node in tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not (is_docstring or is_future):
            return node.lineno if isinstance(node, ast.ImportFrom) else max(at, 1)
        at = (node.end_lineno or node.lineno) + 1
    return at
