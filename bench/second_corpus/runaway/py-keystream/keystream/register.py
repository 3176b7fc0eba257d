"""Linear-feedback shift registers in Galois form, shifting right."""
from dataclasses import dataclass

# Width in bits -> feedback mask with the longest possible sequence.
MASKS = {
    8: 0xB8,
    16: 0xB400,
    23: 0x420000,
    24: 0xE10000,
    25: 0x1200000,
    26: 0x2000023,
}


@dataclass
class Register:
    mask: int
    state: int = 1

    def bit(self):
        out = self.state & 1
        self.state >>= 1
        if out:
            self.state ^= self.mask
        return out

    def bytes(self, count):
        return bytes(sum(self.bit() << i for i in range(8)) for _ in range(count))


def sequence_length(mask, start=1):
    """Number of steps until the register is back in the state `start`."""
    state = start
    steps = 0
    while True:
        if state & 1:
            state = (state >> 1) ^ mask
        else:
            state >>= 1
        steps += 1
        if state == start:
            return steps
