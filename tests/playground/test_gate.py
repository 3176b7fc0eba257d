import struct

from linnix_ls.playground.gate import has_callbacks, with_maps

MAP, VALUE, FUNCTION = 1, 2, 4


def load_64(source, number, offset=0):
    return struct.pack("<BBhiBBhi", 0x18, source << 4 | 1, 0, number, 0, 0, 0, offset)


def test_maps_are_put_in_place_of_others_and_constants_stay():
    code = load_64(MAP, 7) + load_64(VALUE, 7, 16) + load_64(0, 7) + load_64(MAP, 8)
    assert with_maps(code, {7: 40}) == (
        load_64(MAP, 40) + load_64(VALUE, 40, 16) + load_64(0, 7) + load_64(MAP, 8)
    )


def test_a_function_that_is_passed_on_is_recognised():
    assert has_callbacks(load_64(MAP, 7) + load_64(FUNCTION, 3))
    assert not has_callbacks(load_64(MAP, 7) + load_64(0, 4))
