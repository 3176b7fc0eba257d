import unittest

from taxes.bands import Band, BandTable
from taxes.bill import due


class FlatRateTest(unittest.TestCase):
    def test_one_band(self):
        table = BandTable([Band(0, 10)])
        self.assertEqual(due(1_000, table), 100)

    def test_nothing_earned(self):
        self.assertEqual(due(0), 0)


class ProgressiveTest(unittest.TestCase):
    def test_below_the_allowance(self):
        self.assertEqual(due(9_000), 0)

    def test_basic_rate(self):
        self.assertEqual(due(20_000), 1_486)

    def test_higher_rate(self):
        self.assertEqual(due(60_000), 11_432)
