"""From stacks and hints to the line to change."""

from dataclasses import replace

import pytest

from linnix_ls.core.attribution import MAX_OTHER_LOCATIONS, attribute
from linnix_ls.core.examination import Depth, Examination, PlaceHint, ProcessFacts
from linnix_ls.core.findings import Kind, OtherLocation
from linnix_ls.core.ids import ProcessKey
from tests.core.scenes import frame, look

SUSPECT, PARENT, GRANDPARENT = (ProcessKey(pid, 1) for pid in (12, 11, 10))
FACTS = ProcessFacts(SUSPECT, ("python3", "pump.py"), None, "/ws")
LIBRARY = "/usr/lib/python3.11/queue.py"


def place(stacks=(), *, kind=Kind.CPU_SPIN, accused=SUSPECT, language="python", **found):
    found = {"process": FACTS, **found}
    examination = Examination(
        1, SUSPECT, Depth.MEASURE, False, 0.7, language=language, stacks=tuple(stacks), **found
    )
    return attribute(examination, kind, accused)


def line_of(*args, **found):
    location = place(*args, **found).location
    return location and (location.path.rsplit("/", 1)[-1], location.line)


def others_of(*args, **found):
    return {
        (other.path.rsplit("/", 1)[-1], other.line, other.role)
        for other in place(*args, **found).other_locations
    }


def ancestor(key=PARENT, *frames, test=None, argv=("pytest",)):
    stacks = (look(*frames),) if frames else ()
    return ProcessFacts(key, argv, None, "/ws", test, stacks)


MAIN = frame("main", 90, "/ws/main.py")


# -- what is called there ------------------------------------------------------------------------


def test_what_the_loop_calls_is_told_by_its_source_and_by_the_library_that_runs():
    stacks = [
        look(frame("Queue.get", 168, LIBRARY), frame("Queue.get_nowait", 199, LIBRARY), drain, MAIN)
        for drain in [frame("drain", 41, calls=("is_set", "get_nowait"))] * 4
    ]
    assert place(stacks).calls == ("get_nowait", "is_set")
    native = look(frame("__GI_sched_yield", 1, LIBRARY), frame("SpinLock::lock", 9, "/ws/lock.h"))
    assert place((), native_stacks=(native,) * 3, language="native").calls == ("sched_yield",)


def test_what_others_call_is_not_what_the_place_calls():
    helper = frame("step", 10, "/ws/steps.py", calls=("sleep",))
    stacks = [
        look(replace(helper, function=f"step{n}"), frame("drain", 41), MAIN) for n in range(4)
    ]
    assert place(stacks).calls == ()
    hint = PlaceHint("/ws/run.py", 3, None, 0.8, "the call that starts it", "spawn_site")
    leaked = place([look(helper)], kind=Kind.LEAKED_CHILD, hints=(hint,))
    assert (leaked.location.line, leaked.calls) == (3, ())


# -- stacks --------------------------------------------------------------------------------------


def test_the_deepest_function_that_all_looks_share_is_the_one():
    """Its callees come and go."""
    stacks = [
        look(frame(f"step{n}", 10 + n, "/ws/steps.py"), frame("drain", 41 + n % 2), MAIN)
        for n in range(6)
    ]
    assert place(stacks).location.function == "drain"
    assert line_of(stacks)[0] == "pump.py"
    assert ("main.py", 90, "caller") in others_of(stacks)
    assert "callee" in {role for _, _, role in others_of(stacks)}


def test_a_helper_that_is_always_there_is_deeper_still():
    stacks = [look(frame("check", 5, "/ws/q.py"), frame("drain", 41), MAIN)] * 6
    assert line_of(stacks) == ("q.py", 5)


def test_a_function_that_also_works_itself_is_the_one():
    """Half of the looks find it in its own lines, not in the helper."""
    stacks = [look(frame("check", 5, "/ws/q.py"), frame("drain", 41), MAIN)] * 3
    stacks += [look(frame("drain", 42), MAIN)] * 3
    assert place(stacks).location.function == "drain"


def test_library_frames_are_nobodys_line():
    stacks = [look(frame("empty", 100, LIBRARY), frame("drain", 41), MAIN)] * 4
    assert line_of(stacks) == ("pump.py", 41)


def test_looks_into_an_event_loop_between_two_steps_do_not_count():
    in_task = look(frame("poll", 7, "/ws/task.py"), frame("run", 600, LIBRARY), MAIN)
    in_loop = look(frame("select", 468, LIBRARY), frame("run", 600, LIBRARY), MAIN)
    assert line_of([in_task] * 3 + [in_loop] * 3) == ("task.py", 7)


def test_the_smallest_loop_around_what_was_seen_is_marked():
    loops = ((40, 44), (30, 60))
    stacks = [look(frame(line=line, loops=loops), MAIN) for line in (41, 42, 43, 41)]
    location = place(stacks).location
    assert (location.line, location.end_line) == (40, 44)


def test_a_loop_too_small_for_what_was_seen_is_not():
    loops = ((40, 44), (30, 60))
    inner = [look(frame(line=41, loops=loops), MAIN)]
    outer = [look(frame(line=55, loops=((30, 60),)), MAIN)]
    location = place(inner * 3 + outer * 3).location
    assert (location.line, location.end_line) == (30, 60)


def test_without_loops_the_commonest_line_is_it():
    stacks = [look(frame(line=line), MAIN) for line in (41, 42, 42, 42)]
    location = place(stacks).location
    assert (location.line, location.end_line) == (42, None)


def test_of_one_look_the_very_line_is_told():
    location = place([look(frame(line=42, loops=((40, 44),)), MAIN)]).location
    assert (location.line, location.end_line) == (42, None)


def test_a_loop_of_one_line_has_no_other_end():
    location = place([look(frame(line=41, loops=((41, 41),)), MAIN)] * 3).location
    assert (location.line, location.end_line) == (41, None)


def test_the_reason_counts_the_looks_and_confidence_follows():
    *inside, outside = (look(frame(line=n, loops=((40, 46),)), MAIN) for n in (*range(40, 47), 60))
    sure = place([*inside, inside[0]]).location
    unsure = place([*inside, outside]).location
    assert sure.reason == "python stack, 8 of 8 samples"
    assert unsure.reason == "python stack, 7 of 8 samples"
    assert sure.confidence > unsure.confidence > 0.5


def test_frames_without_lines_are_passed_over():
    stacks = [look(frame("native", None), frame("drain", 41))] * 3
    assert line_of(stacks) == ("pump.py", 41)


def test_a_frame_of_the_user_without_a_path_is_passed_over():
    nameless = replace(frame("drain", 41), path=None)
    assert line_of([look(nameless, MAIN)] * 3) == ("main.py", 90)
    assert place([look(nameless)] * 3).location is None


# -- native code ---------------------------------------------------------------------------------

ONE_CALL = [look(frame("test_ring", 9, "/ws/test_ring.py", has_call=True))] * 5
RING = [look(frame("ring_wait", 33, "/ws/ring.c"))] * 30


def test_inside_one_native_call_of_the_users_own_library_the_library_is_it():
    assert line_of(ONE_CALL, native_stacks=RING) == ("ring.c", 33)
    assert ("test_ring.py", 9, "caller") in others_of(ONE_CALL, native_stacks=RING)


def test_a_language_that_moves_has_the_line_itself():
    moving = [look(frame(line=line, has_call=True)) for line in (41, 42, 43)]
    assert line_of(moving, native_stacks=RING)[0] == "pump.py"


def test_a_native_program_has_native_lines():
    assert line_of(native_stacks=RING, language=None) == ("ring.c", 33)


def test_of_native_samples_those_in_user_code_decide():
    """Callers of library code may be missing: without frame pointers they are not found."""
    in_libc = [look(frame("memcpy", None, "/usr/lib/libc.so"), frame("main", 5, "/ws/main.c"))] * 20
    in_loop = [look(frame("spin", 12, "/ws/spin.c"), frame("main", 5, "/ws/main.c"))] * 10
    assert line_of(native_stacks=in_libc + in_loop) == ("spin.c", 12)


def test_a_single_sample_in_user_code_among_thousands_decides_nothing():
    in_libc = [look(frame("memcpy", None, "/usr/lib/libc.so"), frame("main", 5, "/ws/main.c"))]
    in_loop = [look(frame("spin", 12, "/ws/spin.c"), frame("main", 5, "/ws/main.c"))]
    assert line_of(native_stacks=in_libc * 999 + in_loop) == ("main.c", 5)


def complete(stack, tid=1):
    return replace(stack, tid=tid, is_complete=True)


def test_of_complete_native_stacks_all_decide():
    """Also those that lie in a library: the loop is where they come from."""
    in_libc = look(frame("memcpy", None, "/usr/lib/libc.so"), frame("spin", 12, "/ws/spin.c"))
    in_helper = look(frame("help", 3, "/ws/help.c"), frame("spin", 13, "/ws/spin.c"))
    stacks = [complete(in_libc)] * 9 + [complete(in_helper)]
    assert line_of(native_stacks=stacks) == ("spin.c", 12)


def test_of_threads_that_wait_the_first_has_the_place_and_others_tell_the_rest():
    waits = look(frame("lock", None, "/usr/lib/libc.so"), frame("one", 12, "/ws/locks.c"))
    other = look(frame("lock", None, "/usr/lib/libc.so"), frame("other", 30, "/ws/locks.c"))
    stacks = [complete(waits, 2), complete(other, 3), complete(look(MAIN), 1)]
    found = {"native_stacks": stacks, "kind": Kind.STUCK}
    assert line_of(**found) == ("locks.c", 12)
    assert others_of(**found) == {("locks.c", 30, "origin"), ("main.py", 90, "origin")}
    assert others_of(native_stacks=stacks) == set()


# -- hints ---------------------------------------------------------------------------------------


def hint(path, line, confidence=0.5, role="culprit"):
    return PlaceHint(path, line, None, confidence, "because", role)


def test_without_stacks_the_best_hint_is_it():
    hints = (hint("/ws/a.sh", 1, 0.4), hint("/ws/b.sh", 2, 0.7))
    location = place(hints=hints).location
    assert (location.path, location.line, location.confidence) == ("/ws/b.sh", 2, 0.7)
    assert location.reason == "because"


def test_a_stack_is_better_than_any_hint():
    assert line_of([look()], hints=(hint("/ws/a.sh", 1, 0.9),)) == ("pump.py", 41)


def test_hints_of_other_roles_tell_the_story():
    hints = (hint("/ws/t.py", 12, 0.6, "test"),)
    assert others_of([look()], hints=hints) == {("t.py", 12, "test")}


# -- ancestors -----------------------------------------------------------------------------------

STARTER = frame("start_server", 20, "/ws/conftest.py")


def test_where_the_parent_started_it_is_told_beside_its_own_line():
    above = (ancestor(PARENT, STARTER),)
    assert line_of([look()], ancestors=above) == ("pump.py", 41)
    assert ("conftest.py", 20, "spawn_site") in others_of([look()], ancestors=above)


def test_without_a_line_of_its_own_the_parents_line_is_it():
    assert line_of(ancestors=(ancestor(PARENT, STARTER),)) == ("conftest.py", 20)


def test_of_an_ancestors_stack_the_users_innermost_line_counts():
    stack = frame("communicate", 1200, "/usr/lib/python3.11/subprocess.py"), STARTER, MAIN
    assert line_of(ancestors=(ancestor(PARENT, *stack),)) == ("conftest.py", 20)
    reason = place(ancestors=(ancestor(PARENT, *stack),)).location.reason
    assert str(PARENT.pid) in reason


def test_the_nearest_ancestor_that_was_read_counts():
    far = frame("main", 1, "/ws/far.py")
    above = (ancestor(), ancestor(PARENT, STARTER), ancestor(GRANDPARENT, far))
    assert line_of(ancestors=above) == ("conftest.py", 20)


def test_whoever_starts_a_process_must_end_it():
    """A leaked child's place is where it was started."""
    found = {"kind": Kind.LEAKED_CHILD, "ancestors": (ancestor(PARENT, STARTER),)}
    assert line_of([look()], **found) == ("conftest.py", 20)
    assert ("pump.py", 41, "callee") in others_of([look()], **found)


def test_a_leaked_childs_start_can_be_a_hint():
    site = hint("/ws/conftest.py", 20, 0.8, "spawn_site")
    assert line_of([look()], kind=Kind.LEAKED_CHILD, hints=(site,)) == ("conftest.py", 20)
    assert line_of([look()], kind=Kind.CPU_SPIN, hints=(site,)) == ("pump.py", 41)


def test_an_accused_ancestor_is_placed_where_it_waits():
    found = {"kind": Kind.STUCK, "accused": PARENT, "ancestors": (ancestor(PARENT, STARTER),)}
    assert line_of([look()], **found) == ("conftest.py", 20)
    assert ("pump.py", 41, "callee") in others_of([look()], **found)


def test_the_test_is_that_of_the_nearest_process_that_has_one():
    above = (ancestor(PARENT, test="t.py::test_near"), ancestor(GRANDPARENT, test="t.py::test_far"))
    assert place(ancestors=above).test == "t.py::test_near"
    own = replace(FACTS, test="t.py::test_own")
    assert place(process=own, ancestors=above).test == "t.py::test_own"
    assert place().test is None


# -- at the end ----------------------------------------------------------------------------------


def test_at_last_what_led_here_is_better_than_nothing():
    location = place(hints=(hint("/ws/t.py", 12, 0.6, "test"),)).location
    assert (location.path, location.line) == ("/ws/t.py", 12)
    assert location.confidence < 0.5


def test_of_what_led_here_the_test_is_nearest():
    hints = (hint("/ws/o.py", 1, 0.9, "origin"), hint("/ws/t.py", 12, 0.6, "test"))
    assert line_of(hints=hints) == ("t.py", 12)


def test_where_nothing_is_known_nothing_is_said():
    assert place(process=None) == replace(place(), test=None)
    assert place().location is None
    assert place().other_locations == ()


@pytest.mark.parametrize("role", ["test", "spawn_site", "origin"])
def test_no_place_is_told_twice(role):
    again = hint("/ws/pump.py", 41, 0.5, role)
    assert place([look()], hints=(again, again)).other_locations == ()
    twice = hint("/ws/t.py", 3, 0.5, role)
    assert len(place([look()], hints=(twice, twice)).other_locations) == 1


def test_other_places_are_few():
    hints = tuple(hint("/ws/t.py", line, 0.5, "test") for line in range(1, 40))
    others = place([look()], hints=hints).other_locations
    assert len(others) == MAX_OTHER_LOCATIONS
    assert all(isinstance(other, OtherLocation) for other in others)


# -- which of several loops ----------------------------------------------------------------------

STEP = frame("step", 10, "/ws/steps.py", loops=((9, 12),))


def drain(line=41, *, loops=((40, 44),)):
    return frame("drain", line, loops=loops)


def test_a_loop_whose_call_returns_is_the_one_that_goes_on():
    """However long that takes, and loops itself."""
    stacks = [*[look(STEP, drain(), MAIN)] * 9, look(drain(43), MAIN), look(STEP, drain(), MAIN)]
    assert line_of(stacks) == ("pump.py", 40)
    assert ("steps.py", 10, "callee") in others_of(stacks)


def test_a_loop_that_was_called_once_and_never_left_is_the_one():
    stacks = [look(drain(43), MAIN), *[look(STEP, drain(), MAIN)] * 9]
    assert line_of(stacks) == ("steps.py", 9)


def test_a_function_that_is_left_by_no_loop_says_nothing():
    straight = drain(loops=())
    stacks = [*[look(STEP, straight, MAIN)] * 9, look(drain(43, loops=()), MAIN)]
    assert line_of(stacks) == ("steps.py", 9)


def test_of_loops_that_are_all_left_the_outermost_goes_on():
    main = frame("main", 90, "/ws/main.py", loops=((88, 92),))
    inner, outer = look(STEP, drain(), main), look(main)
    assert line_of([inner, inner, outer, inner, inner, inner, inner]) == ("main.py", 88)
