"""The plugin in editors/neovim, in the Neovim of the machine and in a current one."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.test_neovim import in_neovim, lines_of_the_spin, nvim, project  # noqa: F401

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "editors" / "neovim"


@pytest.fixture
def init_lua(tmp_path):
    """The set-up of docs/editors.md, with an agent of the test's own."""
    section = (
        (ROOT / "docs" / "editors.md").read_text().partition("## Neovim, with the plugin\n")[2]
    )
    snippet = re.search(r"```lua\n(.*?)```", section, re.DOTALL)[1]
    settings = f"settings = {{ tracer = 'bcc', agent_socket = '{tmp_path}/agent.sock' }}"
    for before, after in {
        "~/linnix-ls/editors/neovim": str(PLUGIN),
        "settings = {}": settings,
    }.items():
        assert before in snippet
        snippet = snippet.replace(before, after)
    (tmp_path / "init.lua").write_text(snippet)


@pytest.mark.e2e
@pytest.mark.ebpf
@pytest.mark.timeout(300)
def test_a_runaway_is_seen_at_its_line_in_the_tree_and_in_words_and_stopped(
    in_neovim,  # noqa: F811
    project,  # noqa: F811
    init_lua,
):
    source = project / "parcels" / "labels.py"
    seen = in_neovim("neovim_plugin.lua", project, source, "tests/test_labels.py")
    spin = lines_of_the_spin(source)
    for mark in (seen["first"], seen["later"]):
        assert mark["line"] in spin
        assert re.search(r"● cpu_spin: [\d.]+ cores, python\S*, pid \d+, for \d+ s", mark["text"])
    assert seen["statusline"] == "linnix: 1 running away"
    assert "tracer: bcc" in seen["said"][0]
    tree = "\n".join(seen["tree"])
    assert tree.startswith("Findings (1)\n  ● cpu_spin  parcels/labels.py:")
    assert "Runs (1)\n" in tree
    assert seen["jumped"][0]
    assert seen["jumped"][1] in spin
    assert any(line.startswith("e1  ") for line in seen["explanation"])
    assert seen["is_closed"]
    assert "Stop process" in seen["question"]


@pytest.mark.e2e
@pytest.mark.ebpf
@pytest.mark.timeout(300)
def test_a_probe_is_run_reloaded_by_saving_looked_at_and_detached(
    in_neovim,  # noqa: F811
    tmp_path,
    init_lua,
):
    source = tmp_path / "switches.bpf.c"
    source.write_text(
        "BPF_ARRAY(n_switches, u64, 1);\n"
        "RAW_TRACEPOINT_PROBE(sched_switch) {\n    n_switches.increment(0);\n    return 0;\n}\n"
    )
    seen = in_neovim("neovim_probe.lua", tmp_path, source, "none")
    assert seen["before"] == seen["after"] == ["▷ Run"]
    assert seen["running"][1:4] == ["Reload", "Detach", "Roll back"]
    assert seen["running"][4].startswith("raw tracepoint sched_switch · ")
    assert re.fullmatch(r"= [\d,]+", seen.get("hint", "= 1"))
    assert "Map n_switches (" in seen.get("page", "Map n_switches (")


@pytest.mark.e2e
@pytest.mark.timeout(120)
def test_a_name_that_is_meant_to_harm_is_text_and_equal_siblings_are_one_row(
    nvim,  # noqa: F811
    tmp_path,
):
    source = tmp_path / "pump %{1} ü.py"
    source.write_text("def drain():\n    while queue.empty():\n        pass\n")
    server = [sys.executable, "-m", "tests.e2e.scripted_server", str(source)]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "SERVER": json.dumps(server),
        "SOURCE_FILE": str(source),
        "OUTCOME": str(tmp_path / "outcome.json"),
    }
    (tmp_path / "init.lua").write_text(f"vim.opt.runtimepath:prepend('{PLUGIN}')")
    script = f"luafile {ROOT}/tests/e2e/neovim_hostile.lua"
    done = subprocess.run(
        ["timeout", "90", nvim, "--headless", "-n", "-u", tmp_path / "init.lua", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "outcome.json").exists(), done.stderr
    seen = json.loads((tmp_path / "outcome.json").read_text())
    assert "failed" not in seen, (seen, done.stderr)
    assert "Error" not in done.stderr.replace("%#Error#", ""), done.stderr

    told = [seen["mark"], *seen["tree"], *seen["explanation"]]
    assert any("%{system(" in line for line in told)
    assert all(line.isprintable() for line in told)
    note = seen["explanation"][
        seen["explanation"].index("e1  on_cpu_cores: 0.99 cores (cpu_clock samples)") :
    ]
    assert any(re.match(r"AI note, by small .*, not measured:", line) for line in note)
    assert "  -        pass" in note
    assert seen["moved_to"] == 4
    assert seen["statusline"] == "linnix: 1 running away"
    assert sum("cc1plus" in line for line in seen["tree"]) == 1
    assert seen["n_unfolded"] == len(seen["tree"]) + 48
    assert "48 × cc1plus" in seen["cursor_is_on"]
    assert seen["duration"] == "1 h 02 min"
    assert [float(each) for each in seen["epochs"]] == [
        0,
        datetime(2024, 2, 29, 12, 0, 1, 500000, tzinfo=UTC).timestamp(),
        datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp(),
    ]
    assert seen["n_rows"] == 2000 + 3  # two headings and the gap between
    assert "p1 1  0.10 cores  123 MB  1999 forks  stopped  1 s  p" in seen["measures"]
    assert seen["build_ms"] < 500  # a few tens; done once a second
    assert seen["missing"] == "linnix: there is no /nowhere/linnix-ls"
    assert seen["findings"] == 0


def test_every_command_is_in_the_help_and_has_a_function():
    commands = (PLUGIN / "plugin" / "linnix.lua").read_text()
    named = re.findall(r"^  (\w+) = '", commands, re.MULTILINE)
    manual = (PLUGIN / "doc" / "linnix.txt").read_text()
    functions = (PLUGIN / "lua" / "linnix" / "init.lua").read_text()
    assert named
    for name in named:
        assert f"*:Linnix{name}*" in manual
        assert f"function M.{name.lower()}()" in functions
    assert set(re.findall(r"\*:Linnix(\w+)\*", manual)) == set(named)
