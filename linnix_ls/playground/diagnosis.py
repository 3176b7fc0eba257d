"""From what a trial told (`checker`) to problems at lines of the source."""

from __future__ import annotations

import errno as errno_module
import os
import re
from typing import Any

from linnix_ls.playground import clang_output, policy, targets
from linnix_ls.playground.base import Checked, Problem, ProgramReport, Severity, Span
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.checker import Request, Trial
from linnix_ls.playground.dialect import Dialect
from linnix_ls.playground.verifier import refusal

_ANNOTATED = re.compile(r"^; .*// Line +(\d+)$|^ *(?P<at>\d+):\t[0-9a-f]{2} |^; *// Line +(\d+)$")
_MAP_REFUSED = re.compile(r"could not open bpf map: (?P<map>\w+), error: (?P<error>.+)")
_LIBBPF_MAP_REFUSED = re.compile(r"map '(?P<map>\w+)': failed to create: (?P<error>[^(]+)")
_LIBBPF_SAYS = re.compile(r"^libbpf: (?P<text>.*)$", re.MULTILINE)
_EXTERN = re.compile(
    r"(?:failed to find BTF for extern|extern \(func ksym\)|extern) '(?P<name>\w+)'"
)
_C_LIBRARY_CALL = r"\b(?:__builtin_)?(?:str|mem|bc)\w+\s*\("
_TARGET = re.compile(
    r"failed to find kernel BTF type ID of '(?P<name>[^']+)'"
    r"|failed to determine tracepoint '(?P<name2>[^']+)'"
    r"|\b(?P<name3>\w+) is not found in vmlinux BTF"
)
_CORE = re.compile(r"CO-RE relocat\w+\b.*?\[\d+\] struct (?P<type>\w+)\.?(?P<field>\w*)")


def diagnose(request: Request, trial: Trial) -> Checked:
    """All problems, by line. Empty where everything compiles and loads."""
    source = CSource(request.source)
    is_bcc = request.dialect is Dialect.BCC
    problems = clang_output.problems(trial.output, source, request.name, is_bcc=is_bcc)
    if not request.may_load:
        # Who may not look at tracepoints has no structs of them, either.
        problems = [each for each in problems if "struct tracepoint__" not in each.message]
    tables = _tables(trial.output) if is_bcc else {}
    missing = targets.problems(source, targets.this_kernel())
    missing_at = {problem.span.line for problem in missing}
    # Of a tracepoint that is not there clang says that its struct is declared in a strange place.
    problems = [each for each in problems if each.span.line not in missing_at] + missing
    problems += policy.source_problems(source)
    problems += _extern_problems(source, trial.output, {p.span.line for p in problems})
    if too_large := policy.map_problem(source, trial.maps, os.cpu_count() or 1):
        problems.append(too_large)
    for told in trial.programs:
        if told["refused"]:
            known = {problem.span.line for problem in problems}
            problems += _forbidden(source, told, tables, known, is_bcc=is_bcc)
        elif told["errno"]:
            refused = _refused(request, source, told, tables, trial.output)
            if not _follows(refused, problems, source):
                problems.append(refused)
        elif too_far := _beyond_the_record(source, told, tables, is_bcc=is_bcc):
            problems.append(too_far)
    has_error = any(problem.severity is Severity.ERROR for problem in problems)
    if not has_error:
        problems += _map_problems(source, trial) if request.may_load else []
        problems += _section_problems(source, trial)
        has_error = any(problem.severity is Severity.ERROR for problem in problems)
    # BCC makes the maps when it has compiled, and fails where it may not.
    has_failed = trial.failed and request.may_load
    if trial.missing:
        problems.append(_missing(*trial.missing))
        has_error = True  # that says why there is nothing more
    is_cut_short = trial.stage != "done" or has_failed or trial.ended_by
    if is_cut_short and not has_error:
        problems.append(_unknown_end(source, trial))
    # What a macro says twice, or two programs that have the same function in them.
    problems = list({(each.span, each.severity, each.message): each for each in problems}.values())
    problems.sort(key=lambda problem: (problem.span.line, problem.span.column or 0))
    programs = tuple(
        ProgramReport(
            told["name"],
            told["type"],
            told["errno"],
            told["n_instructions"],
            tuple(told["helpers"]),
        )
        for told in trial.programs
    )
    return Checked(tuple(problems), programs, trial.took_s)


def _missing(what: str, fix: str | None) -> Problem:
    """No fault of the source's."""
    message = f"not compiled: {what}" + (f". Fix: {fix}" if fix else "")
    return Problem(Span(1), Severity.INFORMATION, "check/no-compiler", message)


def _follows(refused: Problem, problems: list[Problem], source: CSource) -> bool:
    """Whether a refusal only says again that something is missing in this function."""
    function = source.function(refused.program)
    if function is None:
        return False
    inside = range(min(function.first_line, function.attached_at.line), function.last_line + 1)
    return any(
        problem.severity is Severity.ERROR
        and problem.code in ("clang", "attach/no-such-target", "attach/extern")
        and problem.span.line in inside
        for problem in problems
    )


def _tables(output: str) -> dict[str, dict[int, int]]:
    """BCC's annotated programs: of each function, instruction to line."""
    tables: dict[str, dict[int, int]] = {}
    table: dict[int, int] = {}
    line = 0
    for raw in output.splitlines():
        if raw.startswith("Disassembly of function "):
            table = tables[raw.removeprefix("Disassembly of function ").strip()] = {}
            line = 0
        elif found := re.search(r"// Line +(\d+)$", raw) if raw.startswith(";") else None:
            line = int(found[1])
        elif line and (insn := re.match(r"^ *(\d+):\t", raw)):
            table[int(insn[1])] = line
    return tables


def _lines(
    told: dict[str, Any], tables: dict[str, dict[int, int]], *, is_bcc: bool
) -> dict[int, int]:
    """The editor's line of each instruction that has one."""
    if is_bcc:
        return tables.get(told["name"], {})
    rows = [row for row in told["lines"] if row[2] > 0]
    own = rows[0][1] if rows else ""
    return {at: line for at, file, line, _ in rows if file == own or file.endswith(".bpf.c")}


def _forbidden(
    source: CSource,
    told: dict[str, Any],
    tables: dict[str, dict[int, int]],
    known_lines: set[int],
    *,
    is_bcc: bool,
) -> list[Problem]:
    """What the bytecode does that policy refuses, and the source did not show."""
    lines = _lines(told, tables, is_bcc=is_bcc)
    function = source.function(told["name"])
    head = function.attached_at if function else source.whole(1)
    found: list[Problem] = []
    for at, number in told["refused"]:
        before = [insn for insn in lines if insn <= at]
        if not number and told["type"] == 0:
            continue  # no type at all: its section has no name that means one
        span = source.whole(lines[max(before)]) if before and number else head
        if span.line in known_lines:
            continue
        known_lines.add(span.line)
        found.append(policy.bytecode_problem(span, number, told["type"], told["name"]))
    return found


def _refused(
    request: Request,
    source: CSource,
    told: dict[str, Any],
    tables: dict[str, dict[int, int]],
    output: str,
) -> Problem:
    lines = _lines(told, tables, is_bcc=request.dialect is Dialect.BCC)
    if not told["log"].strip():
        return _without_log(source, told, output)
    return refusal.explain(
        refusal.Refusal(
            source,
            request.name.rpartition("/")[2],
            told["name"],
            os.strerror(told["errno"]),
            told["log"],
            lines,
            is_bcc=request.dialect is Dialect.BCC,
        )
    )


def _beyond_the_record(
    source: CSource, told: dict[str, Any], tables: dict[str, dict[int, int]], *, is_bcc: bool
) -> Problem | None:
    """Of a tracepoint's: it loads, and would not be attached."""
    read = told.get("furthest_read")
    if read is None or "___" in source.text or "preserve_access_index" in source.text:
        return None  # libbpf moves the reads of such types to where the fields are
    at, end = read
    n_bytes = targets.record_bytes(told["section"])
    if n_bytes is None or end <= n_bytes:
        return None
    lines = _lines(told, tables, is_bcc=is_bcc)
    before = [instruction for instruction in lines if instruction <= at]
    function = source.function(told["name"])
    span = function.attached_at if function else source.whole(1)
    told_by = "" if is_bcc else "its struct is trace_event_raw_… in vmlinux.h, and "
    return Problem(
        source.whole(lines[max(before)]) if before else span,
        Severity.ERROR,
        "attach/beyond-record",
        f"this reads up to byte {end} of the tracepoint's record, which has {n_bytes}: it loads,"
        f" and the kernel refuses to attach it. Fix: read a field that the record has; {told_by}"
        f"tracefs has it in events/{told['section'].partition('/')[2]}/format",
        program=told["name"],
    )


def _without_log(source: CSource, told: dict[str, Any], output: str) -> Problem:
    """Refused before the verifier looked, or by what may not be loaded here at all."""
    function = source.function(told["name"])
    span = function.attached_at if function else source.whole(1)
    said = "\n".join(found["text"] for found in _LIBBPF_SAYS.finditer(output))
    number = told["errno"]
    code, message = "attach/refused", ""
    if target := _TARGET.search(said):
        name = target["name"] or target["name2"] or target["name3"]
        code = "attach/no-such-target"
        message = f"this kernel has nothing called {name} to attach to. Fix: name what it has"
    elif refused := _LIBBPF_MAP_REFUSED.search(said):
        return _map_problem(source, refused["map"], refused["error"].strip(), said)
    elif number == errno_module.EPERM:
        message = (
            "the kernel refuses to load programs of this type here. Fix: use a tracepoint, or load"
            " with CAP_BPF and CAP_PERFMON"
        )
    else:
        message = f"it cannot be loaded: {os.strerror(number)}" + (
            f" ({said[:500]})" if said else ""
        )
    return Problem(span, Severity.ERROR, code, message, program=told["name"], log=said)


def _extern_problems(source: CSource, output: str, known_lines: set[int]) -> list[Problem]:
    found = []
    for extern in _EXTERN.finditer(output):
        # The compiler makes memcmp() of strcmp(), so that the name may not be in the source.
        used = (
            at
            for pattern in (rf"\b{extern['name']}\b", _C_LIBRARY_CALL)
            for at in range(1, len(source.lines) + 1)
            if re.search(pattern, source.code(at)) and source.function_at(at)
        )
        line = next(used, 1)
        if line not in known_lines:
            known_lines.add(line)
            found.append(
                Problem(
                    source.find(line, rf"\b{extern['name']}\b") or source.whole(line),
                    Severity.ERROR,
                    "attach/extern",
                    f"{extern['name']} is declared, and defined nowhere. Fix: define it, or use a"
                    " helper: a probe has no C library, and kernel functions must be ones that this"
                    " kernel offers",
                    log=output[:20_000],
                )
            )
    return found


def _map_problems(source: CSource, trial: Trial) -> list[Problem]:
    return [
        _map_problem(source, refused["map"], refused["error"], trial.output)
        for refused in _MAP_REFUSED.finditer(trial.output)
    ]


def _section_problems(source: CSource, trial: Trial) -> list[Problem]:
    """Programs of no type: libbpf goes by the name of their section."""
    found = []
    for told in trial.programs:
        if told["type"] != 0:
            continue
        function = source.function(told["name"])
        section = told.get("section", "")
        found.append(
            Problem(
                function.attached_at if function else source.whole(1),
                Severity.ERROR,
                "attach/section-name",
                f'no kind of program is called SEC("{section}"). Fix: spell it as one that there'
                ' is, such as SEC("tracepoint/sched/sched_process_exec")',
                program=told["name"],
            )
        )
    return found


def _map_problem(source: CSource, name: str, error: str, log: str) -> Problem:
    line = source.maps.get(name)
    return Problem(
        source.whole(line) if line else source.whole(1),
        Severity.ERROR,
        "map/refused",
        f"the kernel does not make the map `{name}`: {error}. Fix: look at its sizes (a ring buffer"
        " needs a power of two of pages, a key has 512 bytes at most, and that of an LPM trie is a"
        " struct) and flags",
        log=log[:20_000],
    )


def _unknown_end(source: CSource, trial: Trial) -> Problem:
    """It ended, and nothing that was printed tells why in a way that is known."""
    function = source.function(trial.loading)
    span = function.head if function else source.whole(1)
    if trial.ended_by == "time":
        code, message = (
            "check/time",
            "checking this took too long and was ended. Fix: make it smaller",
        )
    elif trial.ended_by:
        code = "check/died"
        message = f"the compiler did not survive this source ({trial.ended_by})"
        if last := [line for line in trial.output.splitlines() if line.strip()]:
            message += f": {last[-1][:300]}"
    else:
        code, message = "check/failed", f"it could not be checked: {trial.failed or 'no answer'}"
        if last := [line for line in trial.output.splitlines() if line.strip()]:
            message += f": {last[-1][:300]}"
    return Problem(span, Severity.ERROR, code, message, log=trial.output[:20_000])
