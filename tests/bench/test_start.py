from bench import start
from bench.publish import page
from tests.bench.test_pages import ABOUT, row


def result():
    ways = {
        way: {"seconds": [0.21, 0.25, 0.24], "median_s": 0.24, "cpu_s": 0.4, "at_most_s": at_most_s}
        for way, at_most_s in start.WAYS.items()
    }
    memory = [
        {"name": "agent", "resident_mb": 39.0, "proportional_mb": 26.0},
        {"name": "holds the probes", "resident_mb": 16.0, "proportional_mb": 10.0},
    ]
    return {
        **ABOUT,
        "schema": start.SCHEMA,
        "n_rounds": 3,
        "ways": ways,
        "memory": memory,
        "max_memory_mb": 60,
    }


def test_the_page_of_a_start_has_times_memory_and_a_picture(tmp_path):
    text = page([result()], tmp_path)
    assert row(text, "the same probes were compiled before")[1:] == [
        "0.24 s", "0.21 to 0.25 s", "0.40 s", "0.3 s",
    ]  # fmt: skip
    assert row(text, "together")[1:] == ["55 MB", "36 MB", "60 MB"]
    assert row(text, "an agent serves already")[-1] == "-"
    [picture] = tmp_path.glob("*.svg")
    assert "first start on this kernel" in picture.read_text()
