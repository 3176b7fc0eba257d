"""cargo test, GoogleTest, CTest, go test and JUnit. Stacks and arguments are those of real runs."""

import pytest

from linnix_ls.locate.runners.base import Scope
from linnix_ls.locate.runners.cpp import CTestRunner, GoogleTestRunner
from linnix_ls.locate.runners.go import GoRunner
from linnix_ls.locate.runners.java import JUnitRunner
from linnix_ls.locate.runners.rust import CargoRunner
from tests.locate.runners.sightings import found_by, process, stack


def found(runner, *lineage):
    found = runner.find(lineage[0], lineage[1:])
    return found and (found.id, found.place and found.place.line)


# -- cargo test ----------------------------------------------------------------------------------

LIB = """\
pub fn drain() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts() {}

    #[tokio::test(flavor = "multi_thread")]
    // It may take long.
    #[should_panic(
        expected = "never"
    )]
    async fn drains_in_place() {
        drain();
    }

    fn drains_by_hand() {
        drain();
    }
}
"""
STARTUP = """\
#[test]
fn drains_with_a_good_config() {}
#[test]
fn drains_with_an_empty_config() {
    std::thread::spawn(|| drain());
}
"""


@pytest.fixture
def crate(tmp_path):
    for name, text in (("src/lib.rs", LIB), ("tests/startup.rs", STARTUP)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path


def libtest(crate, name, arguments="", **of):
    binary = f"{crate}/target/debug/deps/{name}-9e983dda796cd21b"
    return process([binary, *arguments.split()], exe=binary, cwd=crate, **of)


@pytest.mark.parametrize(
    ("function", "line", "test"),
    [
        ("pump::tests::drains_in_place::{{closure}}", 16, ("tests::drains_in_place", 15)),
        ("pump::tests::drains_in_place::h0123456789abcdef", 16, ("tests::drains_in_place", 15)),
        ("<T as pump::tests::X>::y", 16, ("drains_in_place", 15)),
        ("pump::tests::drains_by_hand", 20, None),
        ("pump::drain", 1, None),
    ],
)
def test_a_function_with_the_attribute_is_a_rust_test(crate, function, line, test):
    on = [stack(("pump::drain", None, False, None), (function, crate / "src/lib.rs", True, line))]
    assert found(CargoRunner(), libtest(crate, "pump", stacks=on)) == test


@pytest.mark.parametrize(
    ("binary", "threads", "test"),
    [
        ("startup", ["drains_with_an_", "startup-9e983dd"], ("drains_with_an_empty_config", 4)),
        ("startup", ["drains_with_a_g", "drains_with_an_"], ("drains_with_a_good_config", 2)),
        ("startup", ["drains_with_a"], None),  # shorter than the kernel would have cut it
        ("startup", ["startup-9e983dd"], None),
        ("pump", ["tests::starts"], ("tests::starts", 8)),
        ("pump", ["tests::drains_i", "tests::starts"], ("tests::drains_in_place", 15)),
        ("pump", ["tokio-runtime-w", "rayon", ""], None),
        ("pump", [".*", "(", "tests::("], None),
        ("pump", [], None),
    ],
)
def test_a_thread_is_called_after_its_rust_test(crate, binary, threads, test):
    assert found(CargoRunner(), libtest(crate, binary, threads=threads)) == test


def test_where_two_rust_tests_could_be_meant_none_is(crate):
    (crate / "tests/startup.rs").write_text(STARTUP.replace("an_empty", "a_great"))
    seen = libtest(crate, "startup", threads=["drains_with_a_g"])
    assert found(CargoRunner(), seen) is None


def test_nextest_runs_one_rust_test_a_process(crate):
    seen = libtest(crate, "pump", "tests::starts --exact --nocapture")
    assert found(CargoRunner(), seen) == ("tests::starts", 8)


def test_a_rust_program_is_no_test(crate):
    seen = process("target/debug/pump", cwd=crate, threads=["tests::starts"])
    assert found(CargoRunner(), seen) is None


# -- GoogleTest ----------------------------------------------------------------------------------

GTEST = """\
#include <gtest/gtest.h>
TEST(Pump, Starts) {}
TEST(Pump, Drains_well) {
    drain();
}
TEST_P(Fixture, Drains) { drain(); }
TYPED_TEST(Typed, Drains) { drain(); }
"""


@pytest.mark.parametrize(
    ("function", "test"),
    [
        ("Pump_Drains_well_Test::TestBody()", ("Pump.Drains_well", 3)),
        ("(anonymous namespace)::Fixture_Drains_Test::TestBody()", ("Fixture.Drains", 6)),
        ("Typed_Drains_Test<int>::TestBody()", ("Typed.Drains", 7)),
        ("Other_Drains_Test::TestBody()", ("Other.Drains", None)),
        ("Other_that_Drains_Test::TestBody()", None),  # which underscore is the dot?
        ("testing::Test::Run()", None),
    ],
)
def test_a_test_body_is_a_google_test(tmp_path, function, test):
    source = tmp_path / "test_pump.cpp"
    source.write_text(GTEST)
    on = [stack(("drain()", source, True, 4), (function, source, True, 4))]
    assert found(GoogleTestRunner(), process("./test_pump", stacks=on)) == test


@pytest.mark.parametrize(
    ("command", "test"),
    [
        ("./test_pump --gtest_filter=Pump.Drains", "Pump.Drains"),
        ("./test_pump --gtest_filter=All/Fixture.Drains/0", "All/Fixture.Drains/0"),
        ("./test_pump --gtest_filter=Pump.*", None),
        ("./test_pump --gtest_filter=Pump.A:Pump.B", None),
        ("./test_pump --gtest_filter=-Pump.A", None),
        ("./test_pump --gtest_color=yes", "Pump.Told"),
        ("sh helper.sh", None),
    ],
)
def test_a_google_test_may_be_asked_for(command, test):
    seen = process(command, variables={"GTEST_FILTER": "Pump.Told"})
    assert found_by(GoogleTestRunner(), seen) == test


# -- CTest ---------------------------------------------------------------------------------------


@pytest.fixture
def build(tmp_path):
    (tmp_path / "CMakeLists.txt").write_text("project(pump)\n")
    folder = tmp_path / "build"
    (folder / "sub").mkdir(parents=True)
    (folder / "CTestTestfile.cmake").write_text(
        f'add_test([=[plain drain]=] "{folder}/drain" "--all" "a \\"b\\"")\n'
        f"set_tests_properties([=[plain drain]=] PROPERTIES  _BACKTRACE_TRIPLES "
        f'"{tmp_path}/CMakeLists.txt;1;add_test;{tmp_path}/CMakeLists.txt;0;")\n'
        f'add_test(old name "{folder}/old")\n'
        f'add_test(one "{folder}/same")\nadd_test(other "{folder}/same")\n'
        'subdirs("sub")\ninclude("found.cmake")\nsubdirs("gone")\nsubdirs(".")\n'
    )
    (folder / "sub/CTestTestfile.cmake").write_text(f'add_test(below "{folder}/sub/t")\n')
    (folder / "found.cmake").write_text(
        f"add_test([=[Pump.Drains]=]  {folder}/pump [==[--gtest_filter=Pump.Drains]==] --also)\n"
    )
    return folder


@pytest.mark.parametrize(
    ("command", "test"),
    [
        (["{}/drain", "--all", 'a "b"'], ("plain drain", 1)),
        (["{}/drain"], None),
        (["{}/old"], ("old name", None)),
        (["{}/same"], None),
        (["{}/sub/t"], ("below", None)),
        (["{}/pump", "--gtest_filter=Pump.Drains", "--also"], ("Pump.Drains", None)),
        ([], None),
    ],
)
def test_ctest_knows_its_tests_by_their_commands(build, command, test):
    seen = process([word.format(build) for word in command], cwd=build)
    assert found(CTestRunner(), seen, process("ctest -j2", cwd=build)) == test
    elsewhere = process("/usr/bin/ctest --test-dir build", cwd=build.parent)
    assert found(CTestRunner(), seen, elsewhere) == test
    assert found(CTestRunner(), seen, process("make", cwd=build)) is None


# -- go test -------------------------------------------------------------------------------------

PUMP_GO = """\
package pump

func TestStarts(t *testing.T) {}

func TestDrains(t *testing.T) {
	t.Run("in a subtest", func(t *testing.T) {
		drain()
	})
	drain()
}
"""
GO = "/tmp/go-build3016539877/b001/pump.test -test.testlogfile=x -test.paniconexit0"


@pytest.mark.parametrize(
    ("function", "line", "test"),
    [
        ("example.com/pump.TestDrains.func1", 7, ("pump.TestDrains/in_a_subtest", 6)),
        ("example.com/pump.TestDrains", 9, ("pump.TestDrains", 5)),
        ("pump_test.TestDrains", 9, ("pump.TestDrains", 5)),
        ("example.com/v2.1/pump.TestStarts", 3, ("pump.TestStarts", 3)),
        ("example.com/pump.drain", 7, ("pump", None)),
        ("testing.tRunner", 7, ("pump", None)),
    ],
)
def test_a_go_test_is_on_the_stack(tmp_path, function, line, test):
    source = tmp_path / "pump_test.go"
    source.write_text(PUMP_GO)
    on = [stack((function, source, True, line), ("testing.tRunner", "/go/x.go", False))]
    assert found(GoRunner(), process(GO, cwd=tmp_path, stacks=on)) == test


@pytest.mark.parametrize(
    ("option", "test"),
    [
        ("-test.run=^TestDrains$", ("pump.TestDrains", 5)),
        ("-test.run=^TestDrains$/^in_a_subtest$", ("pump.TestDrains/in_a_subtest", 5)),
        ("-test.run=^(TestDrains)$", ("pump.TestDrains", 5)),
        ("-test.run=TestD", ("pump", None)),
        ("-test.run=^(TestDrains|TestStarts)$", ("pump", None)),
        ("-test.v=true", ("pump", None)),
    ],
)
def test_go_may_be_told_one_test(tmp_path, option, test):
    (tmp_path / "pump_test.go").write_text(PUMP_GO)
    assert found(GoRunner(), process(f"{GO} {option}", cwd=tmp_path)) == test


@pytest.mark.parametrize("command", ["./pump.test", "./pump -test.run=^TestX$", ""])
def test_what_go_did_not_build_is_no_go_test(command):
    assert found(GoRunner(), process(command)) is None


# -- JUnit ---------------------------------------------------------------------------------------

PUMP_TEST = """\
package pump;

class PumpTest {
    @Test
    void starts() {
    }

    @Nested
    class Inner {
        @DisplayName("drains (at last)")
        @org.junit.jupiter.api.Test
        public void drains() throws Exception {
            run(() -> {
                Pump.drain();
            });
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    <T> void adds(int n) { Pump.drain(); }

    public void testOldStyle() {
        Pump.drain();
    }

    @Override
    public void helper() {
        Pump.drain();
    }
}
"""
SUREFIRE = "java -jar /ws/target/surefire/surefirebooter-2026_3.jar /ws/target/surefire 2026"
GRADLE = "java -cp x worker.org.gradle.process.internal.worker.GradleWorkerMain 'Gradle 1'"


@pytest.mark.parametrize(
    ("function", "line", "test"),
    [
        ("PumpTest$Inner.drains", 13, ("pump.PumpTest$Inner#drains", 12)),
        ("PumpTest$Inner.lambda$drains$0", 14, ("pump.PumpTest$Inner#drains", 12)),
        ("PumpTest.adds", 21, ("pump.PumpTest#adds", 21)),
        ("PumpTest.testOldStyle", 24, ("pump.PumpTest#testOldStyle", 23)),
        ("PumpTest.helper", 29, None),
        ("PumpTest.<init>", 3, None),
    ],
)
def test_a_method_with_the_annotation_is_a_junit_test(tmp_path, function, line, test):
    source = tmp_path / "PumpTest.java"
    source.write_text(PUMP_TEST)
    on = [stack(("Pump.drain", None, False), (function, source, True, line))]
    assert found(JUnitRunner(), process(SUREFIRE, stacks=on)) == test
    under_gradle = found(JUnitRunner(), process(GRADLE, stacks=on))
    assert under_gradle == (test and (test[0].replace("#", "."), test[1]))


@pytest.mark.parametrize("source", ["@Test " * 9_000, "@A(" * 9_000, "class X { void x( ", ""])
def test_java_that_is_none_is_borne(tmp_path, source):
    path = tmp_path / "X.java"
    path.write_text(source)
    on = [stack(("X.x", path, True, 1))]
    assert found(JUnitRunner(), process(SUREFIRE, stacks=on)) is None


def test_a_scope_is_told():
    found = GoRunner().find(process(GO), [])
    assert found.scope is Scope.FILE
