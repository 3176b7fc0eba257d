import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def supervise(device):
    """The supervisor at work on a printer, for as long as a test may take."""
    return subprocess.run(
        [sys.executable, "-m", "parcels.supervisor", "bin/printer-driver", str(device)],
        cwd=PROJECT,
        timeout=6,
        check=False,
    )


def test_driver_copies_labels_to_the_printer(tmp_path):
    device = tmp_path / "lp0"
    device.touch()
    subprocess.run(
        [PROJECT / "bin/printer-driver", device], input=b"Rathausplatz 1", check=True, timeout=10
    )
    assert device.read_bytes() == b"Rathausplatz 1"


def test_supervisor_gives_up_when_there_is_no_printer(tmp_path):
    assert supervise(tmp_path / "lp0").returncode == 1
