import unittest

from tiles.cutter import cut


def slope(width, height):
    return [[x * 3 + y * 7 for x in range(width)] for y in range(height)]


class CutterTest(unittest.TestCase):
    def test_small_map(self):
        tiles = cut(slope(32, 16), 8)
        self.assertEqual(len(tiles), 8)
        self.assertEqual(tiles[1, 2][0][0], 16 * 3 + 8 * 7)

    def test_wide_map(self):
        tiles = cut(slope(4096, 128), 64)
        self.assertEqual(len(tiles), 128)
        self.assertEqual(len(tiles[1, 63]), 64)


if __name__ == "__main__":
    unittest.main()
