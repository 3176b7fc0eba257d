from bench.plots import Bar, Panel, bars, lines


def test_bars_say_in_words_what_was_measured_and_what_was_not(tmp_path):
    panel = Panel(
        "bare fork",
        [
            Bar("linnix-ls run", 3.2, low=1.0, high=5.0, is_ours=True),
            Bar("strace", 900.0),
            Bar("execsnoop", None, note="not run: no kprobes"),
        ],
        limit=10,
    )
    drawn = bars(tmp_path / "fork", "Overhead", "percent", [panel], linear_up_to=1)
    text = drawn.read_text()
    assert drawn.name == "fork.svg"
    for words in ("Overhead", "bare fork", "linnix-ls run", "3.2", "not run: no kprobes"):
        assert f">{words}</text>" in text


def test_the_same_figures_make_the_same_file(tmp_path):
    series = {"agent": [(0.0, 50.0), (1.0, 51.0)], "server": [(0.0, 70.0), (1.0, 71.0)]}
    first, second = (
        lines(tmp_path / name, "Memory", "minutes", "MB", series, limit=80).read_bytes()
        for name in ("first", "second")
    )
    assert first == second
    assert b">at most</text>" in first
