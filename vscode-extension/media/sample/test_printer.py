import tempfile
import unittest
from pathlib import Path

from printer import print_order


class PrinterTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.device = Path(folder.name) / "lp0"

    def test_prints_an_order(self) -> None:
        self.device.touch()
        print_order("two apples", str(self.device))
        self.assertEqual(self.device.read_text(encoding="utf-8"), "two apples\n")

    def test_says_so_when_there_is_no_printer(self) -> None:
        with self.assertRaises(OSError):
            print_order("two apples", str(self.device))
