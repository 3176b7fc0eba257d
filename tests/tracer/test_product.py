"""What compiling comes to, on its way between processes."""

import ctypes
import struct

import pytest

from linnix_ls.tracer.product import (
    Map,
    Product,
    Program,
    describe,
    layout_of,
    with_maps,
)

RETURN = bytes.fromhex("9500000000000000")


def load_map(number, register=1):
    return struct.pack("<BBhi", 0x18, 1 << 4 | register, 0, number) + bytes(8)


def load_number(number):
    """Looks like a reference to a map in its second half."""
    return struct.pack("<BBhi", 0x18, 1, 0, number) + struct.pack("<BBhi", 0x18, 0x11, 0, 99)


def test_a_product_comes_back_from_json_as_it_was():
    product = Product(
        "int x;",
        b"Dual MIT/GPL",
        (Program("raw_tracepoint__sched_process_exit", 17, RETURN),),
        (Map("lost", 2, 4, 8, 2, 0, "c_int", ["struct", "pair", 0, [], [["a", "c_int"]]]),),
        {0: "read"},
    )
    assert Product.decoded(product.encoded()) == product


def test_a_name_tells_the_tracepoint():
    assert Program("raw_tracepoint__sched_process_exit", 17, b"").tracepoint == "sched_process_exit"
    assert Program("tracepoint__sched__sched_switch", 5, b"").tracepoint == "sched__sched_switch"
    assert Program("on_cpu_clock", 7, b"").tracepoint == ""


def test_maps_are_exchanged_wherever_they_are_loaded_and_nothing_else():
    code = load_map(11) + load_number(11) + load_map(12, register=2) + RETURN
    exchanged = with_maps(code, {11: 0, 12: 1})
    assert exchanged == load_map(0) + load_number(11) + load_map(1, register=2) + RETURN
    assert with_maps(exchanged, {0: 11, 1: 12}) == code


def test_a_map_that_nobody_knows_is_an_error():
    with pytest.raises(KeyError):
        with_maps(load_map(13), {11: 0})


class Inner(ctypes.Union):
    _fields_ = (("number", ctypes.c_uint64), ("bytes", ctypes.c_ubyte * 8))


class Outer(ctypes.Structure):
    _pack_ = 1
    _anonymous_ = ("inner",)
    _fields_ = (
        ("flag", ctypes.c_uint8, 3),
        ("rest", ctypes.c_uint8, 5),
        ("inner", Inner),
        ("names", ctypes.c_char * 16 * 2),
    )


@pytest.mark.parametrize("layout", [None, ctypes.c_uint32, ctypes.c_uint64 * 3, Inner, Outer])
def test_a_layout_comes_back_from_its_description(layout):
    described = describe(layout)
    again = layout_of(described)
    assert describe(again) == described
    if layout is not None:
        assert ctypes.sizeof(again) == ctypes.sizeof(layout)


def test_a_layout_that_came_back_reads_the_same_bytes():
    raw = bytes(range(ctypes.sizeof(Outer)))
    again, first = layout_of(describe(Outer)).from_buffer_copy(raw), Outer.from_buffer_copy(raw)
    assert (again.flag, again.rest, again.number) == (first.flag, first.rest, first.number)
    assert again.names[1].value == first.names[1].value
