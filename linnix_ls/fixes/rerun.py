"""How the same test is run again: the command for a finding, that command in a copy, and as a line
for a shell.

Where the run is a test runner's own, the one test is run alone (docs/runners.md has its ids);
else the command that was typed is run as it was. Nothing is run here.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from linnix_ls.core.findings import Finding, ProcessInfo
from linnix_ls.core.text import visible
from linnix_ls.core.tree import is_interactive_shell, script_argument
from linnix_ls.errors import LinnixError
from linnix_ls.fixes.scratch import Scratch

MAX_PTH_BYTES = 1 << 20
MAX_FOLDERS_ABOVE = 8
_PYTHON = re.compile(r"(python|pypy)[\d.]*$")
# Options of pytest whose value could be taken for a path to collect from.
_PYTEST_WITH_VALUE = frozenset(
    "-c -k -m -n -o -p -r -W --rootdir --confcutdir --basetemp --ignore --junitxml --cov"
    " --timeout --maxfail --tb --durations --import-mode --config-file --override-ini".split()
)


class NotRunnable(LinnixError):
    """The run cannot be done again; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it is run in the original.

    Attributes:
        subject: what it tests, for people.
        ran: what its output has when tests have run; None where its exit status says that.
    """

    argv: tuple[str, ...]
    cwd: str
    subject: str
    ran: re.Pattern[str] | None = None


def command_for_copy(finding: Finding) -> Command:
    """The same, where it can be kept inside a copy.

    Raises:
        NotRunnable: see `command_for`, or it would run elsewhere.
    """
    command = command_for(finding)
    name = os.path.basename(command.argv[0])
    if name in ("sudo", "su", "doas", "docker", "podman", "ssh"):
        raise NotRunnable(f"{name} would run it elsewhere than in a copy")
    return command


def reproduction(finding: Finding) -> str:
    """A line for bash or zsh that runs the finding's test again, wherever it is pasted.

    Variables that were set for the run alone are not in it: nobody keeps environments.

    Raises:
        NotRunnable: see `command_for`.
    """
    command = command_for(finding)
    words = ["cd", quoted(command.cwd), "&&", *map(quoted, command.argv)]
    return " ".join(words)


def quoted(word: str) -> str:
    """One word of a shell's line. What would act on the terminal that it is pasted into, or look
    like another text there, is written as an escape: byte by byte, whatever the locale."""
    if visible(word, len(word)) == word:
        return shlex.quote(word)
    escaped = word.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{''.join(map(_as_bytes, escaped))}'"


def _as_bytes(character: str) -> str:
    if visible(character) == character:
        return character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def command_for(finding: Finding) -> Command:
    """The command that runs the finding's test again.

    Raises:
        NotRunnable: it was not started by a command that can be given again.
    """
    run = run_of(finding)
    argv = run.argv
    if len(argv) == 1 and " " in argv[0] and not os.path.exists(argv[0]):
        argv = tuple(shlex.split(argv[0]))  # npm writes its command into its name
    if not argv or not run.cwd:
        raise NotRunnable("it is not known how the run was started")
    if is_interactive_shell(argv, run.comm) or _is_prompt(argv):
        raise NotRunnable("it was started by hand, at a prompt")
    if "=" in argv[0]:
        raise NotRunnable("its name would set a variable")
    whole = Command(argv, run.cwd, shlex.join(argv[:6]))
    if not finding.test:
        return whole
    for narrow in _RUNNERS:
        if found := narrow(argv, finding.test, run.cwd):
            alone, ran = found
            return Command(alone, run.cwd, finding.test, ran)
    return whole


def run_of(finding: Finding) -> ProcessInfo:
    """The process of the run that the finding was made in."""
    lineage = (finding.process, *finding.ancestry)
    return next((each for each in lineage if each.key == finding.run), lineage[-1])


def in_copy(command: Command, scratch: Scratch) -> tuple[list[str], str]:
    """The command and its working folder with places in the workspace replaced by those in the
    copy, and an environment in which the copy's code is what is imported.

    Raises:
        NotRunnable: it does not run in the workspace.
    """
    cwd = scratch.mapped(os.path.realpath(command.cwd))
    if cwd is None or not os.path.isdir(cwd):
        raise NotRunnable(f"it runs in {command.cwd}, which is not in the copy")
    argv = [_mapped(argument, scratch) for argument in command.argv]
    variables = dict(_variables(argv, scratch, os.environ))
    settings = [f"{name}={value}" for name, value in variables.items()]
    return ["env", *settings, *argv], cwd


# -- in the copy ----------------------------------------------------------------------------------


def _variables(
    argv: Sequence[str], scratch: Scratch, environ: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """What differs from our own environment. A variable that leads into the workspace leads into
    the copy; a virtual environment in it counts as activated, as for whoever typed the command."""
    for name, value in environ.items():
        if name not in ("PATH", "PYTHONPATH") and (mapped := _mapped(value, scratch)) != value:
            yield name, mapped
    path = _mapped(environ.get("PATH", os.defpath), scratch)
    programs = [os.path.join(folder, "bin") for folder in scratch.environments]
    is_bare = "/" not in argv[0]
    if is_bare and programs and not any(each in path.split(":") for each in programs):
        path = ":".join([*programs, path])
    yield "PATH", path
    yield "TMPDIR", scratch.temporary
    yield (
        "PYTHONPATH",
        ":".join(
            dict.fromkeys(
                [
                    *_python_folders(argv[0], path, scratch),
                    *filter(None, _mapped(environ.get("PYTHONPATH", ""), scratch).split(":")),
                ]
            )
        ),
    )


def _mapped(text: str, scratch: Scratch) -> str:
    """With paths into the original replaced, but for those into its virtual environments."""
    # Not in the middle of another path; but -I and -L have theirs in the same word.
    root = rf"(?:(?<![\w./~-])|(?<=-[IL])){re.escape(scratch.root)}"

    def replaced(match: re.Match[str]) -> str:
        path = match[0]
        if any(f"{path}/".startswith(f"{folder}/") for folder in scratch.environments):
            return path
        return scratch.folder + path[len(scratch.root) :]

    return re.sub(rf"{root}(?=$|[/:,;=\s'\")\]])[^:,;\s'\")\]]*", replaced, text)


def _python_folders(program: str, path: str, scratch: Scratch) -> Iterator[str]:
    """Where Python shall look first: for packages that are installed as a link to the original
    ("editable"), their places in the copy."""
    for folder in ("src", *_linked_folders(program, path, scratch)):
        copied = os.path.join(scratch.folder, folder)
        if os.path.isdir(copied):
            yield copied


def _linked_folders(program: str, path: str, scratch: Scratch) -> Iterator[str]:
    root = scratch.root.rstrip("/") + "/"
    quoted = re.compile(rf"['\"]({re.escape(root[:-1])}(?:/[^'\"\n]*)?)['\"]")
    for site in _site_folders(program, path, scratch):
        try:
            names = sorted(os.listdir(site))
        except OSError:
            continue
        for name in names:
            is_finder = name.startswith("__editable__") and name.endswith(".py")
            if not (is_finder or name.endswith((".pth", ".egg-link"))):
                continue
            text = _read(os.path.join(site, name))
            if is_finder:
                # It maps a package's name to its folder; Python looks in the one above that.
                folders = [os.path.dirname(each) for each in quoted.findall(text)]
            else:
                folders = text.splitlines()
            for folder in folders:
                if f"{os.path.realpath(folder)}/".startswith(root) and os.path.isabs(folder):
                    yield os.path.relpath(os.path.realpath(folder), scratch.root)


def _site_folders(program: str, path: str, scratch: Scratch) -> Iterator[str]:
    """Of the Python that runs it, of virtual environments of the workspace, and the user's own."""
    prefixes = [*scratch.environments, os.path.expanduser("~/.local")]
    found = (shutil.which(name, path=path) for name in (program, "python3", "python"))
    prefixes += [os.path.dirname(os.path.dirname(each)) for each in found if each]
    for prefix in dict.fromkeys(prefixes):
        for lib in ("lib", "local/lib"):
            folder = os.path.join(prefix, lib)
            versions = os.listdir(folder) if os.path.isdir(folder) else []
            for version in sorted(filter(_PYTHON.match, versions)):
                yield os.path.join(folder, version, "site-packages")
                yield os.path.join(folder, version, "dist-packages")


def _read(path: str) -> str:
    try:
        if os.path.getsize(path) > MAX_PTH_BYTES:
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


# -- one test alone -------------------------------------------------------------------------------

_Narrowed = tuple[tuple[str, ...], re.Pattern[str] | None] | None


def _pytest(argv: tuple[str, ...], test: str, cwd: str) -> _Narrowed:
    at = _program(argv, "pytest", "py.test")
    path, *names = test.split("::")
    if at is None or not names:
        return None
    # The id counts from pytest's root folder: the working folder or one above it.
    folder = cwd
    for _ in range(MAX_FOLDERS_ABOVE):
        if os.path.isfile(os.path.join(folder, path)):
            break
        folder = os.path.dirname(folder)
    else:
        return None
    file = os.path.relpath(os.path.join(folder, path), cwd)
    kept = _without_paths(argv[at + 1 :], cwd, _PYTEST_WITH_VALUE)
    return (*argv[: at + 1], *kept, "::".join([file, *names])), None  # no tests: status 5


def _unittest(argv: tuple[str, ...], test: str, _cwd: str) -> _Narrowed:
    at = _program(argv, "unittest")
    if at is None or not re.fullmatch(r"[\w.]+", test) or "discover" in argv:
        return None
    options = [argument for argument in argv[at + 1 :] if re.fullmatch(r"-[vqfcb]+", argument)]
    return (*argv[: at + 1], *options, test), re.compile(r"^Ran [1-9]", re.MULTILINE)


def _cargo(argv: tuple[str, ...], test: str, _cwd: str) -> _Narrowed:
    if os.path.basename(argv[0]) != "cargo" or "test" not in argv[1:3]:
        return None
    if not re.fullmatch(r"\w+(::\w+)*", test):
        return None
    at = argv.index("--") if "--" in argv else len(argv)
    alone = (*argv[:at], "--", *argv[at + 1 :], test, "--exact")
    return alone, re.compile(r"^running [1-9]", re.MULTILINE)


def _go(argv: tuple[str, ...], test: str, _cwd: str) -> _Narrowed:
    names = test.partition(".")[2]
    if os.path.basename(argv[0]) != "go" or argv[1:2] != ("test",) or not names:
        return None
    if any(argument.startswith(("-run", "--run", "-test.run")) for argument in argv):
        return None
    pattern = "/".join(f"^{re.escape(name)}$" for name in names.split("/"))
    alone = (*argv[:2], "-count=1", "-v", "-run", pattern, *argv[2:])
    return alone, re.compile(r"^\s*--- PASS", re.MULTILINE)


def _node(argv: tuple[str, ...], test: str, cwd: str) -> _Narrowed:
    """By the file: names select differently in each version of Node."""
    file = test.partition(" > ")[0]
    if os.path.basename(argv[0]) not in ("node", "nodejs") or "--test" not in argv[1:]:
        return None
    if not os.path.isfile(os.path.join(cwd, file)):
        return None
    kept = [argument for argument in argv[1:] if argument.startswith("-")]
    return (argv[0], *kept, file), re.compile(r"^\S* ?tests [1-9]", re.MULTILINE)


def _javascript(argv: tuple[str, ...], test: str, cwd: str) -> _Narrowed:
    for name, joint, by_file, by_title in (
        ("jest", " › ", ("--runTestsByPath",), "-t"),
        ("vitest", " > ", (), None),
        ("mocha", " > ", (), "-f"),
    ):
        at = _program(argv, name, f"{name}.js", f"{name}.mjs", f"_{name}")
        file, *titles = test.split(joint)
        if at is None or not os.path.isfile(os.path.join(cwd, file)):
            continue
        kept = _without_paths(argv[at + 1 :], cwd, frozenset({"-c", "--config", "-r", "--require"}))
        title = " ".join(titles)
        if name == "jest":
            title = re.escape(title)
        named = (by_title, title) if by_title and title else ()
        return (*argv[: at + 1], *kept, *by_file, file, *named), re.compile(r"[1-9]\d* pass")
    return None


def _ctest(argv: tuple[str, ...], test: str, _cwd: str) -> _Narrowed:
    if os.path.basename(argv[0]) != "ctest":
        return None
    alone = (*argv, "-R", f"^{re.escape(test)}$")
    return alone, re.compile(r"tests passed, 0 tests failed out of [1-9]")


def _prove(argv: tuple[str, ...], test: str, cwd: str) -> _Narrowed:
    at = _program(argv, "prove")
    file = test.partition(" > ")[0]
    if at is None or not os.path.isfile(os.path.join(cwd, file)):
        return None
    kept = _without_paths(argv[at + 1 :], cwd, frozenset({"-I", "-e", "--exec", "-j"}))
    return (*argv[: at + 1], *kept, file), re.compile(r"^Files=[1-9]", re.MULTILINE)


def _bats(argv: tuple[str, ...], test: str, cwd: str) -> _Narrowed:
    at = _program(argv, "bats")
    file, _, title = test.partition(" > ")
    if at is None or not title or not os.path.isfile(os.path.join(cwd, file)):
        return None
    options = [argument for argument in argv[at + 1 :] if argument.startswith("-")]
    return (*argv[: at + 1], *options, "-f", f"^{re.escape(title)}$", file), re.compile(r"\bok\b")


def _maven(argv: tuple[str, ...], test: str, _cwd: str) -> _Narrowed:
    is_maven = os.path.basename(argv[0]) == "mvn" or any("plexus.classworlds" in a for a in argv)
    if not is_maven or "#" not in test:
        return None
    return (*argv, f"-Dtest={test}"), re.compile(r"Tests run: [1-9]")


_RUNNERS: tuple[Callable[[tuple[str, ...], str, str], _Narrowed], ...] = (
    *(_pytest, _unittest, _cargo, _go, _node, _javascript, _ctest, _prove, _bats, _maven),
)


def _program(argv: tuple[str, ...], *names: str) -> int | None:
    """Where the arguments name that program or module: as the program itself, or as the script
    or module that an interpreter runs."""
    if os.path.basename(argv[0]) in names:
        return 0
    script = script_argument(argv)
    if script is None or os.path.basename(script) not in names:
        return None
    return argv.index(script)


def _without_paths(arguments: Sequence[str], cwd: str, with_value: frozenset[str]) -> Iterator[str]:
    """Options stay, files and folders to take tests from go."""
    earlier = ""
    for argument in arguments:
        path = os.path.join(cwd, argument.split("::")[0])
        if argument.startswith("-") or earlier in with_value or not os.path.exists(path):
            yield argument
        earlier = argument


def _is_prompt(argv: tuple[str, ...]) -> bool:
    """An interpreter without a program: what is typed there is not known."""
    name = os.path.basename(argv[0])
    is_interpreter = _PYTHON.match(name) or name in ("node", "nodejs", "irb", "perl", "ipython")
    options = {"-c", "-e", "-E", "-p", "--eval", "--test", "-m"}
    return bool(is_interpreter) and script_argument(argv) is None and not options & set(argv)
