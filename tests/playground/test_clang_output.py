"""What compilers print, as problems: which of it clangd says as well."""

import pytest

from linnix_ls.playground import clang_output
from linnix_ls.playground.c_source import CSource


@pytest.mark.parametrize(
    ("said", "is_of_c"),
    [
        ("use of undeclared identifier 'x'", True),
        ("expected ';' after expression", True),
        ("implicit declaration of function 'strlen' is invalid in C99", True),
        ("could not open bpf map: counts, error: Operation not permitted", False),
        ("too many arguments, bcc only supports in-register parameters", False),
        ("cannot call non-static helper function", False),
        ("Unsupport signed division for DAG: sdiv. Please convert to unsigned div", False),
        ("in function f i32 (i8*): A call to built-in function 'memcmp' is not supported.", False),
    ],
)
def test_only_what_is_about_c_is_clangds_as_well(said, is_of_c):
    output = f"/virtual/main.c:1:1: error: {said}\n"
    [problem] = clang_output.problems(output, CSource("int x;\n"), "a.bpf.c", is_bcc=True)
    assert (problem.code, problem.is_of_c) == ("clang", is_of_c)
