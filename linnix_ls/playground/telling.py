"""What a probe does, line by line, in words.

From the parsed source and what is known of this kernel: no statement without an origin in either.
What a line does not say is not guessed; a line that says nothing worth a sentence gets none. Not
here: what is wrong with it (`diagnosis`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from linnix_ls.playground.base import Part, Sentence
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.knowledge import maps
from linnix_ls.playground.knowledge.helpers import Helper
from linnix_ls.playground.knowledge.tracepoints import Tracepoints
from linnix_ls.playground.probe_text import FunctionDefinition, MapDefinition, ProbeText

if TYPE_CHECKING:
    from tree_sitter import Node

_MAX_SAID_CHARS = 60
_MAX_FIELDS = 12
_MAX_DEPTH = 50
_SECTION = re.compile(r'SEC\s*\(\s*"\??([^"\n]*)"')

# When the kernel comes by these.
_WHEN = {
    "sched_process_exec": "a process starts a program (exec)",
    "sched_process_fork": "a process makes another one, or a thread (fork, clone)",
    "sched_process_exit": "a process or thread ends",
    "sched_process_free": "the last of a process is taken away",
    "sched_switch": "a CPU changes from one task to another",
    "sched_wakeup": "a task that waited can run again",
    "sched_wakeup_new": "a new task can run for the first time",
    "sched_migrate_task": "a task moves to another CPU",
    "sched_stat_runtime": "the scheduler has counted a task's time",
    "task_newtask": "a task is made",
    "sys_enter": "any system call begins",
    "sys_exit": "any system call returns",
    "irq_handler_entry": "a device's interrupt is handled",
    "softirq_entry": "a soft interrupt begins",
}
# What these give or do: {0} … are the arguments as they are written, {to} where the result goes.
_HELPERS = {
    "bpf_get_current_pid_tgid": "the ids of the process (upper half) and thread (lower half) that"
    " runs here",
    "bpf_get_current_uid_gid": "user (lower half) and group (upper half) of the process here",
    "bpf_get_current_comm": "the name of the thread that runs here",
    "bpf_get_current_task": "the address of the kernel's struct for the thread here",
    "bpf_get_current_task_btf": "the kernel's struct for the thread here",
    "bpf_ktime_get_ns": "the time since boot, in nanoseconds",
    "bpf_ktime_get_boot_ns": "the time since boot, suspended time too, in nanoseconds",
    "bpf_get_smp_processor_id": "the number of the CPU here",
    "bpf_get_prandom_u32": "a random number",
    "bpf_get_current_cgroup_id": "the id of the cgroup here",
    "bpf_probe_read_kernel": "bytes of the kernel's memory",
    "bpf_probe_read_user": "bytes of the process's memory",
    "bpf_probe_read_kernel_str": "a text in the kernel's memory",
    "bpf_probe_read_user_str": "a text in the process's memory",
    "bpf_probe_read": "bytes of memory",
    "bpf_probe_read_str": "a text in memory",
    "bpf_log2": "the power of two below a number",
    "bpf_log2l": "the power of two below a number",
    "BPF_CORE_READ": "a field behind pointers of the kernel, wherever this kernel has it",
}
# Helpers on maps as methods, as BCC has them: which argument is the map, and which are the rest.
_MAP_HELPERS = {
    "bpf_map_lookup_elem": "lookup",
    "bpf_map_update_elem": "update",
    "bpf_map_delete_elem": "delete",
    "bpf_map_push_elem": "push",
    "bpf_map_pop_elem": "pop",
    "bpf_map_peek_elem": "peek",
    "bpf_ringbuf_reserve": "ringbuf_reserve",
    "bpf_ringbuf_output": "ringbuf_output",
    "bpf_perf_event_output": "perf_output",
    "bpf_get_stackid": "get_stackid",
}
_METHODS = {
    "lookup": "Looks up `{0}` in `{map}`, which gives NULL if it is not there",
    "lookup_or_try_init": "Looks up `{0}` in `{map}`, and puts `{1}` there if there is nothing",
    "lookup_or_init": "Looks up `{0}` in `{map}`, and puts `{1}` there if there is nothing",
    "update": "Writes `{1}` into `{map}` under `{0}`",
    "insert": "Writes `{1}` into `{map}` under `{0}`, if there is nothing yet",
    "delete": "Takes `{0}` out of `{map}`",
    "increment": "Counts up the value of `{0}` in `{map}`",
    "atomic_increment": "Counts up the value of `{0}` in `{map}`, whatever other CPUs do",
    "perf_submit": "Sends `{1}` to user space through `{map}`",
    "ringbuf_output": "Sends a copy of `{0}` to user space through `{map}`",
    "ringbuf_reserve": "Takes room for a record of `{0}` bytes in `{map}`; NULL if it is full",
    "ringbuf_submit": "Hands the record `{0}` over to user space",
    "ringbuf_discard": "Gives the room of `{0}` back, unread",
    "get_stackid": "Walks the stack, and keeps it in `{map}` under an id",
    "push": "Puts `{0}` into `{map}`",
    "pop": "Takes the next one out of `{map}` into `{0}`",
    "peek": "Reads the next one of `{map}` into `{0}`",
    "call": "Goes on in another program of `{map}`, for good",
    "perf_output": "Sends `{2}` to user space through `{map}`",
}
_WRITES = ("update", "insert", "delete", "increment", "init", "push", "pop", "submit", "output",
           "reserve", "stackid")  # fmt: skip
_PLAIN = {
    "bpf_ringbuf_submit": "Hands the record `{0}` over to user space",
    "bpf_ringbuf_discard": "Gives the room of `{0}` back, unread",
    "bpf_trace_printk": "Writes a line into the kernel's trace buffer",
    "bpf_printk": "Writes a line into the kernel's trace buffer",
    "__sync_fetch_and_add": "Adds `{1}` to `{0}`, whatever other CPUs do at the same time",
    "__builtin_memset": "Fills `{0}` with `{1}`",
    "__builtin_memcpy": "Copies from `{1}` to `{0}`",
    "bpf_loop": "Calls `{1}` up to `{0}` times",
}
_LOOPS = {"for_statement": "for", "while_statement": "while", "do_statement": "do"}


def tell(text: str, points: Tracepoints, helpers: Mapping[str, Helper]) -> tuple[Part, ...]:
    """Maps, then programs and functions, each in the order of the source."""
    return tuple(_Teller(text, points, helpers).parts())


class _Teller:
    def __init__(self, text: str, points: Tracepoints, helpers: Mapping[str, Helper]) -> None:
        self.content = text.encode("utf-8", "replace")
        self.source = CSource(self.content.decode())
        self.text = ProbeText(self.source.text)
        self.points = points
        self.helpers = helpers
        self._depth = 0

    def parts(self) -> Iterator[Part]:
        bodies = list(self._bodies())
        for each in self.text.maps.values():
            line = self._line(each.start)
            yield Part("map", each.name, line, tuple(self._of_map(each, line)))
        for function in self.text.functions:
            line = self._line(function.named_at)
            is_program, head = self._head(function, line)
            first, last = self._line(function.start), self._line(function.end)
            own = [
                body
                for body in bodies
                if first <= body.start_point[0] + 1 and body.end_point[0] + 1 <= last
            ]
            head_end = own[0].start_point[0] + 1 if own else line
            sentences = [Sentence(line, max(line, head_end), head)] if head else []
            for body in own:
                sentences += self._statements(body)
            kind = "program" if is_program else "function"
            name = self._name(function)
            yield Part(kind, name, line, tuple(sentences))

    def _name(self, function: FunctionDefinition) -> str:
        if function.macro.endswith("TRACEPOINT_PROBE"):
            return f"{function.macro}({', '.join(function.arguments)})"
        return function.name

    # -- heads and maps ------------------------------------------------------------------------

    def _head(self, function: FunctionDefinition, line: int) -> tuple[bool, str]:
        """Whether it is a program; and when it runs."""
        names = [function.name, *(function.arguments[:2] if function.macro else ())]
        if not all(re.fullmatch(r"\w+", each) for each in names):
            return bool(function.macro), ""  # half-written
        if function.macro == "TRACEPOINT_PROBE" and len(function.arguments) > 1:
            category, event = function.arguments[:2]
            return True, self._at_tracepoint(category, event, f"`{event}`")
        if function.macro == "RAW_TRACEPOINT_PROBE":
            event = function.arguments[0]
            return True, self._at_raw(event, f"`{event}`")
        section = self._section(line)
        kind, _, target = section.partition("/")
        if kind in ("tracepoint", "tp"):
            category, _, event = target.partition("/")
            return True, self._at_tracepoint(category, event, event)
        if kind in ("raw_tp", "raw_tracepoint", "tp_btf"):
            return True, self._at_raw(target, target)
        if kind == "iter":
            return True, f"Runs once for each {target} of the kernel, when user space asks."
        if kind == "perf_event" or any(
            "bpf_perf_event_data" in each for each in function.arguments
        ):
            return True, "Runs at each sample of a perf event, such as a CPU's clock."
        if section and kind not in ("license", ".maps"):
            return True, f"Runs as a program of the kind {kind}."
        calls = [
            number
            for number in range(1, len(self.source.lines) + 1)
            if number != line and re.search(rf"\b{function.name}\b", self.source.code(number))
        ]
        if not calls:
            return False, f"`{function.name}` is used nowhere in this file."
        return False, f"`{function.name}` is used at {_lines(calls)}."

    def _section(self, line: int) -> str:
        """Of the SEC() on the line, or up to three above it."""
        for number in range(line, max(0, line - 4), -1):
            if match := _SECTION.search(self.source.lines[number - 1]):
                return match[1]
            if number != line and re.search(r"[;}]", self.source.code(number)):
                break
        return ""

    def _at_tracepoint(self, category: str, event: str, named: str) -> str:
        when = _WHEN.get(event, "")
        if category == "syscalls" and (call := re.fullmatch(r"sys_(enter|exit)_(\w+)", event)):
            begins = call[1] == "enter"
            when = f"the system call {call[2]} {'begins' if begins else 'returns'}"
        said = f"Runs when the kernel comes by the tracepoint {named} of {category}"
        said += f": {when}." if when else "."
        known = self.points.event(category, event)
        if known is not None and known.fields:
            names = [each.name for each in known.fields if not each.name.startswith("__")]
            more = ", …" if len(names) > _MAX_FIELDS else ""
            said += f" Its record has {', '.join(names[:_MAX_FIELDS])}{more}."
        return said

    def _at_raw(self, event: str, named: str) -> str:
        when = _WHEN.get(event)
        said = f"Runs when the kernel comes by the raw tracepoint {named}"
        said += f": {when}." if when else "."
        arguments = self.points.raw_arguments(event)
        return f"{said} It is handed {'; '.join(arguments)}." if arguments else said

    def _of_map(self, each: MapDefinition, line: int) -> Iterator[Sentence]:
        kind = maps.TYPES.get(each.kind)
        is_keyed = each.key and each.leaf and each.kind not in ("ringbuf", "perf_event_array")
        said = f"`{each.name}` is a map"
        if kind is not None:
            said += f" of the type {kind.name}. {kind.text}"
        else:
            said += "."
        if is_keyed:
            said += f" It keeps values of type {each.leaf}, by keys of type {each.key}."
        yield Sentence(line, line, said)
        written: list[int] = []
        read: list[int] = []
        for number in range(1, len(self.source.lines) + 1):
            code = self.source.code(number)
            if number == line or not re.search(rf"\b{each.name}\b", code):
                continue
            where = written if any(word in code for word in _WRITES) else read
            where.append(number)
        uses = [
            f"{what} at {_lines(found)}"
            for what, found in (("written", written), ("read", read))
            if found
        ]
        if uses:
            yield Sentence(line, line, f"`{each.name}` is {' and '.join(uses)}.")

    # -- statements ----------------------------------------------------------------------------

    def _bodies(self) -> Iterator[Node]:
        """Of the functions: blocks that are in no other."""
        todo = [self.source.root] if self.source.root is not None else []
        while todo:
            node = todo.pop()
            if node.type == "compound_statement":
                yield node
            else:
                todo.extend(reversed(node.named_children))

    def _statements(self, block: Node) -> Iterator[Sentence]:
        for node in block.named_children:
            yield from self._statement(node)

    def _statement(self, node: Node) -> Iterator[Sentence]:
        if self._depth >= _MAX_DEPTH:
            return
        self._depth += 1
        yield from self._statement_within(node)
        self._depth -= 1

    def _statement_within(self, node: Node) -> Iterator[Sentence]:
        if node.type == "compound_statement":
            yield from self._statements(node)
        elif node.type == "if_statement":
            yield from self._condition(node)
        elif node.type in _LOOPS:
            yield from self._loop(node)
        elif node.type in ("declaration", "expression_statement", "return_statement"):
            said = [*self._calls(node), *self._values(node)]
            if node.type == "return_statement":
                said += self._return(node)
            first, last = node.start_point[0] + 1, node.end_point[0] + 1
            yield from (Sentence(first, last, each) for each in dict.fromkeys(said))

    def _condition(self, node: Node) -> Iterator[Sentence]:
        condition = node.child_by_field_name("condition")
        then = node.child_by_field_name("consequence")
        otherwise = node.child_by_field_name("alternative")
        if condition is None or then is None:
            return
        first, last = node.start_point[0] + 1, condition.end_point[0] + 1
        for each in self._calls(condition):
            yield Sentence(first, last, each)
        said = self._said(condition).removeprefix("(").removesuffix(")").strip()
        leaves = re.match(r"\{?\s*(return|continue|break|goto)\b", self._of(then))
        if self._is_short(said):
            name = re.fullmatch(r"!\s*(\w+)", said)
            where = f"`{name[1]}` is NULL or 0" if name else f"`{said}`"
            if leaves:
                how = {"return": "Ends here", "continue": "Goes on with the next round"}
                yield Sentence(
                    first, last, f"{how.get(leaves[1], 'Goes on elsewhere')} if {where}."
                )
            else:
                yield Sentence(first, last, f"The next part is done only if {where}.")
        if not leaves or then.named_child_count > 1:
            yield from self._statement(then)
        if otherwise is not None:
            line = otherwise.start_point[0] + 1
            yield Sentence(line, line, "`else`: this is done where it is not so.")
            for inner in otherwise.named_children:
                yield from self._statement(inner)

    def _loop(self, node: Node) -> Iterator[Sentence]:
        condition = node.child_by_field_name("condition")
        body = node.child_by_field_name("body")
        first = node.start_point[0] + 1
        if condition is not None:
            said = self._said(condition)
            if node.type != "for_statement":
                said = said.removeprefix("(").removesuffix(")").strip()
            last = condition.end_point[0] + 1
            if self._is_short(said):
                yield Sentence(first, last, f"Repeats what follows as long as `{said}`.")
            for each in self._calls(condition):
                yield Sentence(first, last, each)
        if body is not None:
            yield from self._statement(body)

    def _return(self, node: Node) -> Iterator[str]:
        value = node.named_children[0] if node.named_children else None
        if value is None:
            yield "Ends here."
        elif self._is_short(said := self._said(value)):
            yield f"Ends with `{said}`."

    def _values(self, node: Node) -> Iterator[str]:
        """What is set, where no call has said it already."""
        todo = [node]
        while todo:
            each = todo.pop()
            todo.extend(reversed(each.named_children))
            if each.type == "update_expression":
                argument = each.child_by_field_name("argument")
                if argument is not None and self._is_short(said := self._said(argument)):
                    way = "Adds 1 to" if "++" in self._of(each) else "Takes 1 from"
                    yield f"{way} `{said}`."
            if each.type not in ("init_declarator", "assignment_expression"):
                continue
            left = each.child_by_field_name("declarator") or each.child_by_field_name("left")
            right = each.child_by_field_name("value") or each.child_by_field_name("right")
            if left is None or right is None or self._is_told(right):
                continue
            target, value = self._said(left).lstrip("* "), self._said(right)
            if each.type == "assignment_expression":
                target = self._said(left)
            if not self._is_short(target) or not self._is_short(value):
                continue
            if field := re.search(r"\bargs->(\w+)", value):
                yield f"Takes `{field[1]}` of the tracepoint's record into `{target}`."
            elif value in ("{}", "{0}", "{ 0 }", "{ }"):
                yield f"Sets all of `{target}` to zero."
            else:
                operator = each.child_by_field_name("operator")
                way = self._of(operator) if operator is not None else "="
                if way == "=":
                    yield f"Sets `{target}` to `{value}`."
                elif way == "+=":
                    yield f"Adds `{value}` to `{target}`."
                else:
                    yield f"Changes `{target}` by `{way}` with `{value}`."

    def _is_told(self, value: Node) -> bool:
        """Whether a value is what a call gives, which has a sentence of its own."""
        return any(self._target(call) for _, _, call in self._call_nodes(value))

    def _call_nodes(self, node: Node) -> Iterator[tuple[str, list[str], Node]]:
        todo = [node]
        while todo:
            each = todo.pop()
            todo.extend(reversed(each.named_children))
            callee = each.child_by_field_name("function")
            arguments = each.child_by_field_name("arguments")
            if each.type == "call_expression" and callee is not None and arguments is not None:
                yield self._of(callee), [self._said(one) for one in arguments.named_children], each

    def _calls(self, node: Node) -> Iterator[str]:
        for callee, arguments, call in self._call_nodes(node):
            to = self._target(call)
            receiver, _, method = callee.rpartition(".")
            if receiver and method in _METHODS:
                said = self._filled(_METHODS[method], arguments, receiver)
            elif callee in _MAP_HELPERS:
                at = 1 if callee in ("bpf_perf_event_output", "bpf_get_stackid") else 0
                receiver = arguments[at].lstrip("&") if len(arguments) > at else ""
                rest = arguments if at else arguments[1:]
                if callee == "bpf_perf_event_output":
                    rest = [*arguments[:2], *arguments[3:]]
                said = self._filled(_METHODS[_MAP_HELPERS[callee]], rest, receiver)
            elif callee in _PLAIN:
                said = self._filled(_PLAIN[callee], arguments, "")
            elif callee in _HELPERS:
                said = self._gives(_HELPERS[callee], callee, arguments, call)
            elif any(each.name == callee for each in self.text.functions):
                said = f"Calls `{callee}` of this file"
            elif callee in self.helpers and (text := self.helpers[callee].text):
                said = f"Calls `{callee}`: {_first_sentence(text)}"
            else:
                continue
            if said.startswith("Takes ") and to:
                yield f"Sets `{to}` to {said.removeprefix('Takes ')}."
            elif said:
                yield f"{said}; the result is in `{to}`." if to else f"{said}."

    def _gives(self, what: str, callee: str, arguments: list[str], call: Node) -> str:
        """What a helper gives, as this expression uses it."""
        parent = call.parent
        around = self._said(parent) if parent is not None else ""
        if callee == "BPF_CORE_READ" and self._is_short(way := ", ".join(arguments)):
            what = f"what is at the end of `{way}` in the kernel"
        if callee == "bpf_get_current_pid_tgid":
            if re.search(r"\)\s*>>\s*32", around):
                what = "the id of the process that runs here"
            elif around.startswith(("(u32)", "(int)", "(__u32)")):
                what = "the id of the thread that runs here"
        if callee.startswith("bpf_probe_read") and len(arguments) > 2:
            if not all(self._is_short(each) for each in (arguments[0], arguments[2])):
                return f"Reads {what}"
            return f"Reads {what}, at `{arguments[2]}`, into `{arguments[0]}`"
        if callee == "bpf_get_current_comm" and arguments and self._is_short(arguments[0]):
            return f"Puts {what} into `{arguments[0]}`"
        return f"Takes {what}"

    def _filled(self, template: str, arguments: list[str], receiver: str) -> str:
        wanted = [int(number) for number in re.findall(r"\{(\d)\}", template)]
        if any(
            number >= len(arguments) or not self._is_short(arguments[number].removeprefix("&"))
            for number in wanted
        ):
            return ""
        if "{map}" in template and not re.fullmatch(r"\w+", receiver):
            return ""
        return template.format(*(each.removeprefix("&") for each in arguments), map=receiver)

    def _target(self, call: Node) -> str:
        """The variable that the result of a call goes to as it is, or cast, or its upper half."""
        node = call.parent
        while node is not None and (
            node.type in ("cast_expression", "parenthesized_expression")
            or (node.type == "binary_expression" and re.search(r">>\s*32$", self._said(node)))
        ):
            node = node.parent
        if node is None or node.type not in ("init_declarator", "assignment_expression"):
            return ""
        left = node.child_by_field_name("declarator") or node.child_by_field_name("left")
        said = self._said(left) if left is not None else ""
        if node.type == "init_declarator":
            said = said.lstrip("* ")
        return said if self._is_short(said) else ""

    # -- text ----------------------------------------------------------------------------------

    def _line(self, offset: int) -> int:
        return self.text.span(offset, offset).line

    def _of(self, node: Node) -> str:
        return self.content[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def _said(self, node: Node) -> str:
        """On one line, as it is written otherwise."""
        return " ".join(self._of(node).split())

    def _is_short(self, said: str) -> bool:
        return 0 < len(said) <= _MAX_SAID_CHARS and "`" not in said


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:12]))
    more = ", …" if len(numbers) > 12 else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _first_sentence(text: str) -> str:
    first = re.split(r"(?<=[a-z)])\.\s|\n", text.strip(), maxsplit=1)[0]
    return first.rstrip(".")[:200].replace("`", "'")
