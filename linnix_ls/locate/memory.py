"""Another process's memory, read and never written, without stopping it.

What is read may change meanwhile: readers check what they find. Nothing here knows a language.
"""

from __future__ import annotations

import functools
import os
import re
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple, Self

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerSymSection
from elftools.elf.hash import ELFHashSection, GNUHashSection

MAX_MAPS_BYTES = 4 << 20
_MAPS_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (....) ([0-9a-f]+) \S+ \d+\s*(.*)")
