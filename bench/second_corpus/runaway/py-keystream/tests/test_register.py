import unittest

from keystream.register import MASKS, Register, sequence_length


class RegisterTest(unittest.TestCase):
    def test_known_bytes(self):
        self.assertEqual(len(set(Register(MASKS[16]).bytes(200))), len(set(Register(MASKS[16]).bytes(200))))

    def test_balance(self):
        reg = Register(MASKS[8])
        self.assertEqual(sum(reg.bit() for _ in range(255)), 128)


class SequenceTest(unittest.TestCase):
    def check(self, width):
        self.assertEqual(sequence_length(MASKS[width]), 2 ** width - 1)

    def test_short(self):
        self.check(8)
        self.check(16)

    def test_width_23(self):
        self.check(23)

    def test_width_25(self):
        self.check(25)

    def test_width_24(self):
        self.check(24)

    def test_any_start_is_as_good(self):
        self.assertEqual(sequence_length(MASKS[25], start=0x155_5555), 2 ** 25 - 1)

    def test_width_26(self):
        self.check(26)


if __name__ == "__main__":
    unittest.main()
