"""The extension in VS Code, with nothing replaced: its package, VS Code's own server as an
unprivileged user, the agent as root, tasks and terminals that run pytest, and what a person sees.

One window serves nearly all of it. Each test begins with a language server that has seen nothing.
"""

import contextlib
import functools
import grp
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright

from linnix_ls.playground.permission import GROUP
from tests.e2e.test_neovim import lines_of_the_spin
from tests.e2e.vscode.editor import (
    PROBES_GID,
    ROOT,
    SIZE,
    Editor,
    give_to_nobody,
    tool,
    with_groups,
)

pytestmark = [pytest.mark.e2e, pytest.mark.ebpf, pytest.mark.timeout(400)]

SPIN = "pytest tests/test_labels.py"
ORDINARY = "pytest tests/test_rates.py"
WAITING = "import time\n\n\ndef test_waits():\n    time.sleep(600)\n"
JS_SPIN = """\
function settle() {
  let n = 0;
  while (n !== -1) {
    n = (n + 1) % 7;
  }
}
settle();
"""
PROBE = """\
struct began {
    u32 pid;
    char comm[16];
};
BPF_RINGBUF_OUTPUT(begun, 8);
BPF_HASH(n_begun, u32, u64);
BPF_HISTOGRAM(pids);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    struct began *record = begun.ringbuf_reserve(sizeof(*record));
    if (!record)
        return 0;
    u32 uid = bpf_get_current_uid_gid();
    record->pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(record->comm, sizeof(record->comm));
    n_begun.increment(uid);
    pids.increment(bpf_log2l(record->pid));
    begun.ringbuf_submit(record, 0);
    return 0;
}
"""
PROGRAMS = "for n in $(seq 40); do /bin/true; sleep 0.1; done"
TASKS = {"version": "2.0.0", "tasks": [{"label": "labels", "type": "shell", "command": SPIN}]}


class Agent:
    """The privileged part, as a service would be: root's, and open to all."""

    def __init__(self, path, group_file):
        self.path = path
        self._group_file = group_file
        self._process = None

    def start(self):
        if self._process:
            return
        read_fd, write_fd = os.pipe()
        command = [sys.executable, "-m", "linnix_ls.cli.main", "agent", "--socket", self.path]
        command = [*with_groups(self._group_file), *command]
        self._process = subprocess.Popen(
            [*command, "--ready-fd", str(write_fd)], pass_fds=[write_fd], stdin=subprocess.DEVNULL
        )
        os.close(write_fd)
        with open(read_fd) as ready:
            assert "true" in ready.read()

    def kill(self, number=signal.SIGKILL):
        if self._process:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def folder():
    """Open to everybody, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="linnix-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def programs(folder):
    """linnix-ls as it is installed, and pytest: the checkout may be closed to other users."""
    venv = folder / "venv"
    subprocess.run(
        ["/usr/bin/python3", "-m", "venv", "--without-pip", "--system-site-packages", venv],
        check=True,
    )
    pip = [sys.executable, "-m", "pip", "--python", venv / "bin/python", "install", "-qq"]
    subprocess.run([*pip, "--require-hashes", "-r", ROOT / "requirements.lock"], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", ROOT], check=True)
    return venv / "bin"


@pytest.fixture(scope="module")
def workspace(folder):
    """The sample project, with time for a slow machine."""
    copy = folder / "parcels"
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    shutil.copytree(ROOT / "examples/parcels", copy, ignore=ignored)
    for tests in (copy / "tests").glob("test_*.py"):
        tests.write_text(re.sub(r"timeout=[68]\b", "timeout=300", tests.read_text()))
    (copy / "tests/test_waits.py").write_text(WAITING)
    (copy / "spin.js").write_text(JS_SPIN)
    (copy / "begun.bpf.c").write_text(PROBE)
    (copy / ".vscode").mkdir()
    (copy / ".vscode/tasks.json").write_text(json.dumps(TASKS))
    give_to_nobody(copy)
    return copy


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--disable-gpu"]
        )


@pytest.fixture(scope="module")
def group_file(folder):
    """This machine's groups, with that of those who may load probes."""
    file = folder / "group"
    file.write_text(f"{Path('/etc/group').read_text()}{GROUP}:x:{PROBES_GID}:nobody\n")
    return file


@pytest.fixture(scope="module")
def agent(folder, group_file):
    agent = Agent(folder / "agent.sock", group_file)
    agent.start()
    yield agent
    agent.kill(signal.SIGTERM)


@pytest.fixture(scope="module")
def new_editor(folder, programs, agent):
    """Makes an editor; those that it made are closed in the end."""
    subprocess.run([ROOT / "deploy/extension.sh", "package"], check=True, capture_output=True)
    path = f"{programs}:{tool('node.sh')}:/usr/bin:/bin"
    machine_settings = {
        "linnix.path": [str(programs / "linnix-ls")],
        "linnix.agent_socket": str(agent.path),
        "linnix.explain.source": "rules",
        "terminal.integrated.env.linux": {"PATH": path},
    }
    made = []

    def make(name, **more):
        home = folder / name
        home.mkdir()
        made.append(Editor(home, path=path, machine_settings=machine_settings, **more))
        return made[-1]

    yield make
    for editor in made:
        editor.close()


@pytest.fixture(scope="module")
def window(new_editor, browser, workspace, group_file):
    """Its user may load probes."""
    editor = new_editor("home", options=["--disable-workspace-trust"], group_file=group_file)
    editor.show(browser, workspace)
    return editor


@pytest.fixture
def editor(window, agent, source):
    """The window, watching, with the source open and nothing found or running."""
    agent.start()
    window.call("command", "workbench.action.closeAllEditors")
    window.call("open", source)
    window.call("command", "linnix.restart")
    is_watching(window)
    yield window
    window.call("endTasks")
    window.call("closeTerminals")
    window.end_tests()
    assert window.notifications() == []


@pytest.fixture(scope="module")
def source(workspace):
    return str(workspace / "parcels/labels.py")


def is_watching(editor):
    editor.until(lambda: editor.report().get("tracer") == "bcc", "watching by eBPF")


def finding(editor, source):
    """The diagnostic that the spin gets."""
    (found,) = editor.until(lambda: editor.call("diagnostics", source), "a diagnostic")
    return found


def severity(editor, source):
    return [each["severity"] for each in editor.call("diagnostics", source)]


def texts_at_lines(editor):
    """What is drawn behind lines, which is in no element of the page."""
    return editor.page.evaluate(
        """() => [...document.querySelectorAll(".view-line span")]
            .map((span) => getComputedStyle(span, "::after").content)
            .filter((text) => text.length > 6)"""
    )


def row(editor, text):
    """In the panel."""
    return editor.page.locator(".pane-body .monaco-list-row", has_text=text).first


def has_row(editor, text):
    editor.until(lambda: row(editor, text).count(), f"a row with {text}")


def frame_with(editor, text):
    """The frame of a webview, once it shows a text."""
    with contextlib.suppress(PlaywrightError):  # a frame that has gone meanwhile
        return next((each for each in editor.page.frames if each.get_by_text(text).count()), None)


def test_a_task_that_runs_away_is_seen_explained_and_stopped(editor, source):
    editor.call("command", "linnix.runs.focus")
    editor.call("startTask", "test", SPIN)
    found = finding(editor, source)
    assert found["code"] == "cpu_spin"
    assert found["severity"] == "warning"
    assert found["line"] in lines_of_the_spin(Path(source))
    assert any(place["path"].endswith("test_labels.py") for place in found["related"])

    hover = editor.call("hover", source, found["line"])
    assert "cores" in hover
    assert "test_long_street_names_fit_on_labels" in hover
    titles = editor.call("actions", source, found["line"])
    for beginning in ("Stop process", "Explain", "Dismiss"):
        assert any(title.startswith(beginning) for title in titles), titles

    # What a person sees.
    editor.page.locator(".squiggly-warning").first.wait_for()
    (text,) = editor.until(lambda: texts_at_lines(editor), "text at the line")
    assert re.search(r"spins · [\d.]+ cores · for \d+ s", text)
    editor.page.get_by_role("button", name=re.compile("linnix.* 1$")).wait_for()
    has_row(editor, "wrap() at labels.py")
    has_row(editor, "task: test")

    editor.call("act", source, found["line"], "Explain")
    editor.until(lambda: "cpu_spin" in " ".join(editor.call("tabs")), "an explanation")
    (explanation,) = editor.until(
        lambda: editor.call("documents", "linnix-explanation"), "its text"
    )
    assert "## Evidence" in explanation
    assert "## What to change" in explanation

    editor.call("open", source)
    stopping = editor.begin("act", source, found["line"], "Stop process")
    editor.page.locator(".notification-toast").get_by_role("button", name="Stop").first.click()
    stopping.result(60)
    editor.until(lambda: severity(editor, source) == ["information"], "it has ended")
    editor.until(lambda: not texts_at_lines(editor), "no text at the line")
    editor.until(lambda: editor.call("nTasks") == 0, "the task has ended")
    editor.call("act", source, found["line"], "Dismiss")
    editor.until(lambda: editor.call("diagnostics", source) == [], "dismissed")


def test_a_command_in_a_terminal_is_watched_under_its_own_words(editor, source):
    editor.call("command", "linnix.runs.focus")
    editor.until(lambda: editor.call("hasShellIntegration", "bash"), "shell integration")
    editor.call("runInTerminal", "bash", SPIN)
    finding(editor, source)
    has_row(editor, f"bash: {SPIN}")
    editor.call("type", "bash", "\x03")
    editor.until(lambda: severity(editor, source) == ["information"], "it has ended")


def test_settings_count_at_once(editor, source):
    editor.call("startTask", "test", SPIN)
    assert finding(editor, source)["severity"] == "warning"
    editor.until(lambda: texts_at_lines(editor), "text at the line")
    shown = functools.partial(severity, editor, source)
    for name, value, expected in (
        ("severity", {"cpu_spin": "error"}, ["error"]),
        ("severity", {"cpu_spin": "off"}, []),
        ("min_severity", "error", []),
        ("exclude", ["parcels/labels.py"], []),
        ("enable", False, []),
    ):
        editor.call("set", name, value)
        editor.until(lambda: shown() == expected, f"{name}: {value}")  # noqa: B023
        editor.call("set", name, None)
        editor.until(lambda: shown() == ["warning"], f"{name}: back")
    editor.call("set", "inline_text", False)
    editor.until(lambda: not texts_at_lines(editor), "no text at the line")
    editor.call("set", "inline_text", None)
    editor.until(lambda: texts_at_lines(editor), "text at the line")


def test_a_killed_server_comes_back_by_itself_without_a_word(editor):
    (before,) = editor.server_pids()
    os.kill(before, signal.SIGKILL)
    editor.until(lambda: editor.server_pids() not in ([], [before]), "another server")
    is_watching(editor)
    (before,) = editor.server_pids()
    editor.call("command", "linnix.restart")
    is_watching(editor)
    assert editor.server_pids() != [before]
    assert editor.notifications() == []


def test_a_server_that_does_not_stay_up_is_reported_once(editor):
    for _ in range(5):
        (pid,) = editor.until(editor.server_pids, "a server")
        editor.until(lambda: editor.report()["server"] == "running", "it runs")
        assert editor.notifications() == []
        os.kill(pid, signal.SIGKILL)
        editor.until(lambda: editor.report()["server"] != "running", "its end is noticed")
    (told,) = editor.until(editor.notifications, "a notification")
    assert "does not stay up" in told
    editor.page.locator(".notification-toast").get_by_role("button", name="Restart").click()
    is_watching(editor)


def test_without_an_agent_it_says_what_it_misses_and_goes_on_and_takes_the_next_one(
    editor, agent, source
):
    editor.call("startTask", "test", SPIN)
    finding(editor, source)
    agent.kill()
    status = editor.page.get_by_role("button", name=re.compile("linnix (off|degraded)"))
    status.first.wait_for()
    report = editor.report()
    assert report["degraded"] != "no"

    editor.call("command", "linnix.restart")
    editor.until(lambda: editor.report().get("tracer") == "psutil", "watching without eBPF")
    report = editor.report()
    assert "agent" in report["what helps"]
    status.first.wait_for()
    finding(editor, source)

    agent.start()
    is_watching(editor)
    finding(editor, source)


def test_quick_fixes_are_all_there_and_do_what_they_say(editor, source):
    editor.call("startTask", "test", SPIN)
    found = finding(editor, source)
    titles = editor.call("actions", source, found["line"])
    stop, explain, reveal, copy, open_probe, dismiss = (
        title for title in titles if not title.startswith("Try this fix")
    )
    pid = re.fullmatch(r"Stop process (\d+) \(python\S*\)", stop)[1]
    assert (explain, dismiss) == ("Explain: cpu spin", "Dismiss")
    assert open_probe == "Open the probe that found this"
    assert reveal == f"Open process {pid} in the panel"
    assert copy == "Copy the command that runs it again"

    editor.call("act", source, found["line"], reveal)
    chosen = editor.page.locator(".pane-body .monaco-list-row.selected")
    editor.until(lambda: chosen.filter(has_text=f"pid {pid}").count(), "the process is selected")
    editor.call("command", "linnix.panel.showStack")  # of what is selected
    (stack,) = editor.until(lambda: editor.call("documents", "linnix-stack"), "its stack")
    lines = lines_of_the_spin(Path(source))
    assert any(f"{source}:{line}" in stack for line in lines), stack

    editor.call("open", source)
    editor.call("act", source, found["line"], copy)
    command = editor.until(
        lambda: "test_long_street_names" in editor.call("clipboard") and editor.call("clipboard"),
        "the command",
    )
    editor.call("endTasks")
    editor.until(lambda: severity(editor, source) == ["information"], "it has ended")
    editor.call("startTask", "again", command)
    editor.until(lambda: severity(editor, source) == ["warning"], "it runs away again")
    has_row(editor, "task: again")

    editor.call("hoverAt", found["line"])
    hover = editor.page.locator(".monaco-hover")
    hover.get_by_text("seen by").first.wait_for()
    (message,) = {each["message"] for each in editor.call("diagnostics", source)}
    assert hover.first.inner_text().count(message) == 1  # VS Code says it, and we do not


def test_each_task_has_its_name_and_is_past_when_it_was_stopped(editor):
    editor.call("command", "linnix.runs.focus")
    names = [f"number {n}" for n in range(3)]
    for name in names:
        editor.call("startTask", name, "sleep 600")
        has_row(editor, f"task: {name}")
        editor.call("endTasks")
        editor.until(lambda: editor.call("nTasks") == 0, "the task has ended")
    row(editor, "Past runs").click()
    for name in names:
        editor.page.locator(".pane-body .monaco-list-row", has_text=f"task: {name}").filter(
            has_text="ended by signal"
        ).wait_for()


def test_a_debugged_program_is_a_run_of_its_own_name(editor, workspace):
    editor.call("command", "linnix.runs.focus")
    program = str(workspace / "spin.js")
    editor.call("debug", {"type": "node", "name": "settling", "program": program})
    found = finding(editor, program)
    assert found["line"] in range(3, 6)
    has_row(editor, "debug: ")
    editor.call("stopDebugging")
    editor.until(lambda: severity(editor, program) == ["information"], "it has ended")


@pytest.mark.parametrize("begin", [[], ["setsid", "--fork"]], ids=["child", "adopted"])
def test_what_a_test_adapter_starts_is_seen_as_tests(editor, source, programs, begin):
    editor.call("command", "linnix.runs.focus")
    pytest_program = str(programs / "pytest")  # a login shell has said what the PATH is
    editor.call("runTests", [*begin, pytest_program, "tests/test_waits.py"])
    has_row(editor, "test_waits.py")
    editor.page.locator(".pane-body .monaco-list-row .codicon-beaker").first.wait_for()
    editor.call("runTests", [*begin, pytest_program, "tests/test_labels.py"])
    assert finding(editor, source)["line"] in lines_of_the_spin(Path(source))


def test_the_details_stop_a_process_and_show_its_stack(editor, source):
    editor.call("startTask", "test", SPIN)
    finding(editor, source)
    editor.call("command", "linnix.showDetails", {})
    details = editor.until(lambda: frame_with(editor, "Show Stack Now"), "the details")
    details.get_by_role("button", name="Show Stack Now").click()
    place = details.locator(".stack button", has_text="labels.py:").first
    line = int(place.inner_text().rsplit(":", 1)[1])
    assert line in lines_of_the_spin(Path(source))
    place.click()
    editor.until(lambda: editor.call("place") == [source, line], "the line")

    details.get_by_role("button", name="Stop Process").click()
    editor.page.locator(".notification-toast").get_by_role("button", name="Stop").first.click()
    editor.until(lambda: severity(editor, source) == ["information"], "it has ended")
    details.get_by_text(re.compile("ended with|ended by|failed")).first.wait_for()


def test_a_test_that_ran_away_can_be_run_again_from_the_test_explorer(editor, source):
    editor.call("startTask", "test", SPIN)
    finding(editor, source)
    editor.call("endTasks")
    editor.call("command", "workbench.view.testing.focus")
    item = editor.page.locator(".test-explorer .monaco-list-row", has_text="test_long_street")
    item.first.wait_for()
    editor.begin("command", "testing.runAll")
    failed = editor.page.locator(".test-explorer .codicon-testing-failed-icon")
    failed.first.wait_for()
    message = editor.page.locator(".test-error-content-widget, .test-message-inline-content")
    editor.until(message.filter(has_text="wrap()").count, "the words of the finding")


def test_a_task_is_run_under_linnix(editor, source):
    choosing = editor.begin("command", "linnix.runTask")
    editor.page.locator(".quick-input-list .monaco-list-row", has_text="labels").first.click()
    choosing.result(60)
    finding(editor, source)
    editor.call("command", "linnix.runs.focus")
    has_row(editor, "task: labels (under Linnix)")
    editor.until(lambda: "= why:" in editor.call("terminalText"), "the finding in the terminal")


def test_two_thousand_processes_are_one_line_and_the_editor_stays_quick(editor):
    editor.call("command", "linnix.runs.focus")
    n_said = len(editor.said)
    editor.call("startTask", "many", "for n in $(seq 2000); do sleep 600 & done; wait")
    longest_s = 0.0

    def is_folded():
        nonlocal longest_s
        began_s = time.monotonic()
        editor.call("nTasks")
        longest_s = max(longest_s, time.monotonic() - began_s)
        return row(editor, "2000 × sleep").count()

    has_row(editor, "task: many")
    row(editor, "task: many").locator(".monaco-tl-twistie").click()
    editor.until(is_folded, "one line")
    editor.call("command", "linnix.showDetails", {})
    details = editor.until(lambda: frame_with(editor, "2001 alive"), "the details")
    deadline = time.monotonic() + 3
    editor.until(lambda: is_folded() and time.monotonic() > deadline, "three seconds of it")
    details.get_by_role("button", name="Table").click()
    details.get_by_role("grid").or_(details.get_by_role("treegrid")).first.wait_for()
    print(f"\nwith 2,000 processes: answers within {longest_s:.2f} s")  # noqa: T201
    assert longest_s < 10  # it would hang for minutes if each row were drawn
    errors = [said for said in editor.said[n_said:] if said.startswith("error")]
    assert [said for said in errors if "webview" in said] == []  # VS Code's terminal has its own


def probe_page(editor, text):
    return editor.until(lambda: frame_with(editor, text), f"the page of a probe, with {text}")


def test_the_probe_that_found_it_is_opened_with_what_it_sees_and_costs(editor, source):
    editor.call("startTask", "test", SPIN)
    found = finding(editor, source)
    editor.call("act", source, found["line"], "Open the probe that found this")
    copy, line = editor.until(
        lambda: (place := editor.call("place"))[0].endswith(".bpf.c") and place, "its source"
    )
    assert copy == str(editor.home / ".config/linnix-ls/bpf/cpu_sampler.bpf.c")
    assert "on_cpu_clock" in "\n".join(Path(copy).read_text().splitlines()[line - 1 : line + 2])
    page = probe_page(editor, "Other Probe…")
    page.locator(".totals", has_text="running, generation").wait_for()
    editor.call("startTask", "programs", PROGRAMS)
    page.get_by_role("table", name="Programs").get_by_text("sched_process_fork").wait_for()
    page.get_by_role("grid").get_by_role("row").nth(3).wait_for()  # and what they see

    # An edit takes its place while it runs, and is gone with a word.
    editor.call("edit", copy, "\n}\n", "\n\t/* mine */\n}\n")
    editor.call("command", "linnix.runProbe")
    page.locator(".totals", has_text="generation 2").wait_for()
    page.get_by_role("button", name="Compare with Shipped").click()
    editor.until(lambda: any("shipped" in each for each in editor.call("tabs")), "the difference")
    # It does not take the page's place, whose frame would be gone as soon as it is covered.
    assert editor.call("columnOf", "shipped ↔ yours") == 1
    page.get_by_role("button", name="Reset to Shipped…").click()
    editor.page.locator(".monaco-dialog-box").get_by_role("button", name="Reset").click()
    editor.until(lambda: "mine" not in Path(copy).read_text(), "the shipped one is back")


def test_a_probe_of_ones_own_is_run_shown_and_detached(editor, workspace):
    editor.call("open", str(workspace / "begun.bpf.c"))
    editor.call("command", "linnix.runProbe")
    page = probe_page(editor, "running, generation 1")
    assert editor.call("place") == [str(workspace / "begun.bpf.c"), 1]  # the keyboard stays there
    editor.call("startTask", "programs", PROGRAMS)
    page.get_by_role("gridcell", name="sleep").first.wait_for()
    page.get_by_role("searchbox").fill("comm=true")
    page.locator(".count", has_text=" of ").wait_for()
    page.get_by_role("gridcell", name="true").first.wait_for()  # else none of them is copied
    page.get_by_role("button", name="Copy as JSON").click()
    copied = editor.until(
        lambda: '"comm": "true"' in (text := editor.call("clipboard")) and text, "JSON"
    )
    assert {event["fields"]["comm"] for event in json.loads(copied)} == {"true"}
    bars = page.locator(".histogram tbody tr")
    assert re.match(r"\d+–\d+|\d+ Ki–\d+ Ki", bars.last.inner_text())
    page.get_by_role("region", name="n_begun").get_by_role("row", name="65534").wait_for()

    editor.call("command", "linnix.probes.focus")
    has_row(editor, "begun.bpf.c")
    row(editor, "begun.bpf.c").locator(".monaco-tl-twistie").click()
    has_row(editor, "n_begun")
    page.get_by_role("button", name="Detach").click()
    page.get_by_text("does not run").or_(page.get_by_text("no longer running")).first.wait_for()


def test_a_lesson_is_opened_explained_and_checked(editor):
    editor.call("command", "linnix.openLesson", 1)
    probe, _ = editor.until(
        lambda: (place := editor.call("place"))[0].endswith("/probe.bpf.c") and place, "its probe"
    )
    assert "01-count-execs" in probe
    probe_page(editor, "Count execs")  # its text, as Markdown
    lens = editor.page.locator(".codelens-decoration")
    lens.get_by_text(re.compile(r"Lesson 1: \d of \d checks|Lesson 1")).first.wait_for()

    editor.call("open", probe)
    editor.begin("command", "linnix.explainProbe")
    probe_page(editor, "Runs when the kernel comes by")
    editor.call("open", probe)
    lens.get_by_role("button", name="Check").first.click()
    editor.until(
        lambda: editor.call("diagnostics", probe, "linnix-lesson"),
        "what the check expected, and what it saw",
    )
    lens.get_by_text(re.compile(r"Lesson 1: \d of \d checks")).first.wait_for()


def test_who_is_not_in_the_group_is_offered_what_the_server_says(editor, agent):
    os.chown(agent.path, 0, grp.getgrnam("adm").gr_gid)
    os.chmod(agent.path, 0o660)
    editor.call("command", "linnix.restart")
    editor.until(lambda: editor.report().get("tracer") == "psutil", "watching without eBPF")
    fix = editor.report()["what helps"]
    assert fix == "sudo usermod -aG adm nobody   (then log out and in again)"
    editor.begin("command", "linnix.enableTracing")
    (told,) = editor.until(editor.notifications, "a notification")
    assert " ".join(fix.split()) in " ".join(told.split())
    toast = editor.page.locator(".notification-toast")
    toast.get_by_role("button", name="Type into Terminal").click()
    command = "$ sudo usermod -aG adm nobody"  # at a prompt, and not run
    editor.until(lambda: editor.call("terminalText").strip().endswith(command), "the command")
    os.chmod(agent.path, 0o666)
    is_watching(editor)


def test_an_ordinary_day_has_no_word_of_ours_and_no_rejection(editor):
    editor.call("startTask", "test", ORDINARY)
    editor.until(lambda: editor.call("nTasks") == 0, "the task has ended")
    assert editor.notifications() == []
    for name, text in {**editor.logs(), "console": "\n".join(editor.said)}.items():
        ours = [
            line
            for line in text.splitlines()
            if "linnix" in line.lower() and re.search("reject|unhandled", line, re.IGNORECASE)
        ]
        assert not ours, (name, ours)


def test_it_says_how_long_its_activation_took(editor):
    editor.page.set_viewport_size({"width": 1280, "height": 3000})  # only rows in sight exist
    editor.call("command", "workbench.action.showRuntimeExtensions")
    row = editor.page.locator(".runtime-extensions-editor .extension", has_text="linnix-ls")
    took_ms = int(re.search(r"(\d+)ms", row.first.inner_text())[1])
    print(f"\nactivation: {took_ms} ms")  # noqa: T201 - the bar is 300, on a quiet machine
    editor.page.keyboard.press("Escape")
    editor.page.set_viewport_size(SIZE)
    assert took_ms < 3000


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Where they go: `make pictures` names docs/pictures."""
    return Path(os.environ.get("LINNIX_PICTURES") or tmp_path_factory.mktemp("pictures"))


def widen_sidebar(page, to_x):
    edge = page.locator(".part.sidebar").bounding_box()
    page.mouse.move(edge["x"] + edge["width"], 400)
    page.mouse.down()
    page.mouse.move(to_x, 400, steps=5)
    page.mouse.up()
    page.mouse.move(SIZE["width"] / 2, 2)


class TestPictures:
    """They are for the README, and looked at by people; here they are only taken."""

    @pytest.fixture
    def take(self, editor, pictures):
        """Takes one of the window, with nothing in it that is not about the matter."""
        editor.call("command", "workbench.action.closeAllEditors")
        editor.call("command", "linnix.runs.focus")

        def take(name, *, hides=()):
            for part in hides:
                editor.call("command", f"workbench.action.{part}")
            editor.page.wait_for_timeout(4000)  # what has been said in the status bar goes
            path = pictures / name
            editor.page.screenshot(path=path)
            assert path.stat().st_size < 250_000

        return take

    def test_of_a_line_that_spins(self, editor, source, take):
        editor.call("open", source)
        editor.call("startTask", "test", SPIN)
        finding(editor, source)
        editor.until(lambda: texts_at_lines(editor), "text at the line")
        editor.call("command", "workbench.action.closePanel")
        editor.call("command", "workbench.action.closeSidebar")
        editor.call("hoverAt", lines_of_the_spin(Path(source))[-1])
        editor.page.locator(".monaco-hover").get_by_text("cores").first.wait_for()
        take("squiggle.png")

    def test_of_the_panel(self, editor, source, take):
        editor.call("open", source)
        editor.call("startTask", "test", SPIN)
        editor.until(lambda: editor.call("hasShellIntegration", "bash"), "shell integration")
        editor.call("runInTerminal", "bash", "pytest tests/test_supervisor.py")
        has_row(editor, "wrap() at labels.py")
        has_row(editor, "keep_running() at supervisor.py")
        widen_sidebar(editor.page, 550)
        take("panel.png")

    def test_of_the_details(self, editor, source, take):
        editor.call("startTask", "test", SPIN)
        finding(editor, source)
        editor.call("command", "linnix.showDetails", {})
        details = editor.until(lambda: frame_with(editor, "Stop Process"), "the details")
        details.get_by_text("wrap() at labels.py").first.wait_for()
        take("details.png", hides=["closePanel", "closeSidebar"])

    def test_of_a_probe(self, editor, source, take):
        editor.call("startTask", "test", SPIN)
        found = finding(editor, source)
        editor.call("act", source, found["line"], "Open the probe that found this")
        page = probe_page(editor, "Other Probe…")
        page.locator(".totals", has_text="running, generation").wait_for()
        editor.call("startTask", "programs", PROGRAMS)
        page.get_by_role("gridcell").nth(60).wait_for()

        def is_alone():
            editor.call("command", "workbench.action.closePanel")
            return not editor.page.locator(".part.panel").is_visible()

        editor.until(is_alone, "the terminal is gone")
        take("probe.png", hides=["closePanel", "closeSidebar"])

    def test_of_the_walkthrough(self, editor, take):
        editor.call("command", "linnix.openWalkthrough")
        editor.page.get_by_text("Enable tracing").first.wait_for()
        take("walkthrough.png", hides=["closePanel", "closeSidebar"])


def test_a_workspace_that_is_not_trusted_names_no_program(new_editor, browser, folder, programs):
    hostile = folder / "hostile"
    marker = folder / "home2/ran"
    (hostile / ".vscode").mkdir(parents=True)
    program = hostile / "linnix-ls"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    (hostile / "begun.bpf.c").write_text(PROBE)
    (hostile / ".vscode/settings.json").write_text(f'{{"linnix.path": ["{program}"]}}')
    give_to_nobody(hostile)
    editor = new_editor("home2")
    editor.show(browser, hostile)
    is_watching(editor)
    editor.call("open", str(hostile / "begun.bpf.c"))
    editor.call("command", "linnix.runProbe")
    editor.until(lambda: "Workspace Trust" in editor.call("tabs"), "whether to trust it")
    report = editor.report()
    assert report["workspace trusted"] == "no"
    assert report["server command"].startswith(str(programs / "linnix-ls"))
    assert not marker.exists()
