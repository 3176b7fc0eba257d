import subprocess
import sys
from pathlib import Path

from parcels.labels import label, wrap

PROJECT = Path(__file__).parents[1]


def print_labels(addresses, width=20):
    """Run the label printer as production does: a process fed through a pipe."""
    result = subprocess.run(
        [sys.executable, "-m", "parcels.labels", "--width", str(width)],
        input="\n".join(addresses),
        capture_output=True,
        text=True,
        cwd=PROJECT,
        timeout=8,
        check=True,
    )
    return result.stdout


def test_short_lines_are_left_alone():
    assert wrap("Rathausplatz 1", 20) == ["Rathausplatz 1"]


def test_long_lines_break_at_spaces():
    assert wrap("Obere Donaustrasse 95, second floor", 20) == [
        "Obere Donaustrasse",
        "95, second floor",
    ]


def test_labels_have_one_width():
    assert {len(line) for line in label("Ada Lovelace, 12 St James's Square", 20).split("\n")} == {
        20
    }


def test_addresses_come_out_as_labels():
    assert "Rathausplatz 1" in print_labels(["Jakob Musterfrau, Rathausplatz 1, 1010 Wien"])


def test_long_street_names_fit_on_labels():
    output = print_labels(["Jakob Musterfrau, Donaudampfschifffahrtsstrasse 7, 1020 Wien"])
    assert "schifffahrt" in output
