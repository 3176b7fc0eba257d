import ctypes

from linnix_ls.playground.plain import plain, read, text, total


class _Inner(ctypes.Structure):
    _fields_ = (("who", ctypes.c_char * 8), ("__pad_1", ctypes.c_uint8 * 4), ("n", ctypes.c_int32))


class _Outer(ctypes.Structure):
    _fields_ = (("inner", _Inner), ("numbers", ctypes.c_uint16 * 3), ("flag", ctypes.c_bool))


def test_structs_are_objects_and_padding_is_left_out():
    value = _Outer(_Inner(b"make", n=-3), (1, 2, 3), True)
    assert plain(value) == {"inner": {"who": "make", "n": -3}, "numbers": [1, 2, 3], "flag": True}


def test_text_ends_like_in_c_and_shows_what_would_act():
    assert text(b"a\x1b[2J\n\xff\0rest") == "a\\x1b[2J\\n\\xff"
    assert text("\u202e".encode()) == "\\u202e"


def test_bytes_without_a_layout_that_fits_are_shown_as_they_are():
    assert read(None, b"\x01\xff") == "01ff"
    assert read(ctypes.c_uint64, b"\x01\x00") == "0100"


def test_what_cpus_have_counted_is_added_up():
    assert total([{"n": 1, "at": [1, 2]}, {"n": 3, "at": [5, 0]}]) == {"n": 4, "at": [6, 2]}
    assert total(["", "make"]) == "make"
