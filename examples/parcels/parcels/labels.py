"""Address labels: one address a line in, labels of a fixed width out.

python -m parcels.labels --width 20 < addresses.txt
"""

import argparse
import sys


def wrap(text: str, width: int) -> list[str]:
    """Break text at spaces into lines of at most width characters."""
    lines = []
    rest = text.strip()
    while len(rest) > width:
        cut = rest.rfind(" ", 0, width + 1)
        if cut > 0:
            lines.append(rest[:cut])
            rest = rest[cut:].lstrip()
    return [*lines, rest]


def label(address: str, width: int) -> str:
    """The parts of an address, separated by commas, each wrapped."""
    lines = [line for part in address.split(",") for line in wrap(part, width)]
    return "\n".join(line.ljust(width) for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="parcels.labels")
    parser.add_argument("--width", type=int, default=20)
    options = parser.parse_args()
    for address in sys.stdin:
        print(label(address, options.width))
        print("-" * options.width)


if __name__ == "__main__":
    main()
