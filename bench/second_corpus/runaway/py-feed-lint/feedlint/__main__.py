"""feedlint: reads a product feed on standard input, says what is wrong with it.

Exit status: 0 clean, 1 problems in the feed, 2 not a feed at all."""
import json
import sys

from .rules import problems


def main():
    try:
        feed = json.load(sys.stdin)
    except ValueError as exc:
        print(f"feedlint: not JSON: {exc}", file=sys.stderr)
        return 2
    if not isinstance(feed, dict) or not isinstance(feed.get("items"), list):
        print("feedlint: no items", file=sys.stderr)
        return 2
    found = list(problems(feed))
    for where, what in found:
        print(f"{where}: {what}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
