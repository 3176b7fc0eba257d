import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def migrate(folder):
    return subprocess.run([sys.executable, "-m", "migrate", str(folder)], cwd=ROOT,
                          capture_output=True, text=True, check=True).stdout


def test_each_step_is_applied_once(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        logs = list(pool.map(migrate, [tmp_path] * 3))
    applied = [line for log in logs for line in log.splitlines() if line.startswith("applied")]
    assert sorted(applied) == ["applied create", "applied currency", "applied drain"]
    assert all(log.endswith("at currency\n") for log in logs)
    assert (tmp_path / "orders.tsv").read_text().splitlines()[1] == "1\t10\tEUR"
