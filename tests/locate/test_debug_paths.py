"""From paths in debug information to files that are here."""

import pytest

from linnix_ls.locate.debug_paths import SourceFinder, is_user_program
from linnix_ls.locate.source import is_user_file


@pytest.fixture
def project(tmp_path):
    """A project with one source file, built in a folder below it."""
    project = tmp_path / "pump-1.2"
    (project / "src").mkdir(parents=True)
    (project / "build").mkdir()
    (project / "src" / "ring.c").write_text("int drain(void)\n{\n    return 1;\n}\n")
    return project


def find(project, path, function="drain", *, cwd="", program="build/pump"):
    return SourceFinder(str(project / program), str(project / cwd)).find(path, function)


@pytest.mark.parametrize(
    "path",
    [
        "src/ring.c",
        "./src/../src/ring.c",
        "../src/ring.c",
        "/build/pump-1.2/src/ring.c",
        "/build/reproducible-path/pump-1.2/src/ring.c",
        "/home/ci/work/pump/src/ring.c",
    ],
)
@pytest.mark.parametrize("cwd", ["", "build", "src", "/"])
def test_a_file_is_found_from_where_the_program_runs_or_was_built(project, path, cwd):
    assert find(project, path, cwd=cwd) == str(project / "src" / "ring.c")


@pytest.mark.parametrize("function", ["drain", "ns::Ring<int>::drain", "ring::drain::{{closure}}"])
def test_the_file_must_mention_the_function(project, function):
    assert find(project, "src/ring.c", function) is not None
    assert find(project, "src/ring.c", "other") is None
    assert find(project, "src/ring.c", "") is None


def test_a_path_that_is_there_needs_no_search(project):
    path = str(project / "src" / "ring.c")
    assert find(project, path, "whatever") == path


def test_of_two_such_files_it_is_neither(project):
    (project / "build" / "src").mkdir()
    (project / "build" / "src" / "ring.c").write_text("int drain(void);\n")
    assert find(project, "src/ring.c") is None


def test_two_ways_to_one_file_are_one(project):
    (project / "build" / "src").symlink_to(project / "src")
    assert find(project, "src/ring.c") == str(project / "src" / "ring.c")


def test_a_file_of_another_machine_keeps_its_name_but_is_not_the_users(project):
    path = find(project, "/home/ci/pump/other.c")
    assert path == "/home/ci/pump/other.c"
    assert not is_user_file(path)


@pytest.mark.parametrize(
    "path",
    [
        "/rustc/0123456789/library/core/src/ring.c",
        "/usr/src/pump/src/ring.c",
        "/root/.cargo/registry/src/index/pump/src/ring.c",
    ],
)
def test_a_librarys_source_is_not_the_users_of_the_same_name(project, path):
    assert find(project, path) == path


@pytest.mark.parametrize(
    "program",
    [
        *("/usr/lib/libpump.so.1", "/lib/x/libc.so.6", "/usr/bin/pump", "/root/.rustup/bin/rustc"),
        "/ws/venv/lib/python3.11/site-packages/pump.so",
    ],
)
def test_an_installed_program_was_not_built_from_files_here(project, program):
    assert not is_user_program(program)
    assert find(project, "src/ring.c", program=program) is None


@pytest.mark.parametrize(
    "path", ["", ".", "/", "//", "\0", "../" * 99, "a/" * 9999, "/" + "b/" * 9999]
)
def test_whatever_the_path_is_it_does_not_matter(project, path):
    assert not is_user_file(find(project, path))
