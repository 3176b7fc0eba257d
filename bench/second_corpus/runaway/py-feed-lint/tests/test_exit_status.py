import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def feedlint(text):
    return subprocess.run([sys.executable, "-m", "feedlint"], input=text, cwd=ROOT,
                          capture_output=True, text=True, timeout=20)


def feed(count=4):
    return {"items": [{"sku": f"AB-{1000 + i}", "price": 9.5 + i, "currency": "EUR", "title": f"Lamp {i}"}
                      for i in range(count)]}


BREAKS = {
    "sku": [None, "", "ab-1000", "AB1000", "AB-100", "AB-10000", 17, "AB-1000 "],
    "price": [None, 0, -1, "9.50", True, [], {}],
    "currency": [None, "", "eur", "DEM", "€"],
    "title": [None, "", "   "],
}
CASES = [(i, key, value) for i in range(11) for key, values in BREAKS.items() for value in values]


def test_clean():
    assert feedlint(json.dumps(feed())).returncode == 0


@pytest.mark.parametrize("index,key,value", CASES)
def test_one_broken_field(index, key, value):
    data = feed(11)
    data["items"][index][key] = value
    result = feedlint(json.dumps(data))
    assert result.returncode == 1
    assert result.stdout.startswith(f"items[{index}]: ")


@pytest.mark.parametrize("cut", range(1, 181))
def test_truncated(cut):
    result = feedlint(json.dumps(feed())[:cut])
    assert result.returncode == 2
    assert "not JSON" in result.stderr
