"""The engine sends what the plan says, when it says so, and every call that was due is a record."""

import asyncio
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.load.engine import HOPELESS, Load
from holymon.plan.plan import Closed, Open, Plan, Target
from holymon.plan.prompts import Prompts
from holymon.plan.requests import Request
from holymon.plan.shapes import constant, poisson
from holymon.records.attempt import Flag, Marks
from holymon.records.datasets import dataset
from holymon.structs import replace

A = Target(provider="url", model="a", base_url="http://127.0.0.1:1/v1")
B = Target(provider="url", model="b", base_url="http://127.0.0.1:1/v1")


def drive(plan, *, takes=0.0, error="", stop_after=None, fails_from=0, cost=None, part=(0, 1)):
    """Drive `plan` against calls that last `takes` seconds, or so long for each target; the load and its records."""
    records: list[Marks] = []

    async def send(number: int, target: int, due: float) -> Marks:
        marks = Marks(number, target, due)
        marks.start = perf_counter()
        try:
            await asyncio.sleep(takes[target] if isinstance(takes, list) else takes)
            marks.error = error if number >= fails_from else ""
        except asyncio.CancelledError:
            marks.error = "cancelled"
        marks.end = perf_counter()
        return marks

    async def main() -> Load:
        load = Load(plan, send, records.append, zero=perf_counter(), cost=cost, part=part)
        if stop_after is not None:
            asyncio.get_running_loop().call_later(stop_after, load.stop)
        async with asyncio.timeout(60):
            await load.run()
        return load

    return asyncio.run(main()), records


def in_time(check):
    """Whether it holds for a load that is stopped so long after its begin, which is enough unless
    the machine stands still meanwhile."""
    return any(check(stop_after) for stop_after in (0.3, 0.9, 2.7))


def test_every_due_call_is_sent_once_and_never_early():
    plan = Plan(targets=(A,), load=Open(constant(200)), duration_s=0.5)
    load, records = drive(plan, takes=0.01)
    assert list(range(100)) == sorted(marks.request for marks in records)
    assert [m.request for m in records if m.start < m.due] == []
    assert load.ending.why == "finished"


def test_the_schedule_does_not_wait_for_answers():
    plan = Plan(targets=(A,), load=Open(constant(100)), duration_s=0.2)
    _, records = drive(plan, takes=0.5)
    last_sent = max(marks.start for marks in records)
    first_ended = min(marks.end for marks in records)
    assert last_sent < first_ended


def test_what_can_not_be_sent_is_a_record():
    plan = Plan(targets=(A,), load=Open(constant(100), max_in_flight=5), duration_s=0.2)
    _, records = drive(plan, takes=0.6)
    assert len(records) == 20
    assert [marks.error for marks in records].count("client_dropped") == 15
    dropped = [marks for marks in records if marks.error == "client_dropped"]
    assert all(marks.start != marks.start for marks in dropped), "a dropped call has no start"


@pytest.mark.parametrize(("most", "parts", "each"), [(6, 1, 6), (6, 2, 3), (7, 2, 3), (1, 2, 1)])
def test_the_limit_of_calls_in_flight_is_shared_by_all_workers(most, parts, each):
    plan = Plan(targets=(A,), load=Open(constant(200), max_in_flight=most), duration_s=0.1)
    for k in range(parts):

        def shared(stop_after, k=k):
            _, records = drive(plan, takes=5, stop_after=stop_after, part=(k, parts))
            sent = [marks.error for marks in records].count("cancelled")
            assert sent <= each
            return (sent, len(records)) == (each, 20 // parts)

        assert in_time(shared)


def test_a_target_that_hangs_leaves_the_other_its_calls():
    plan = Plan(targets=(A, B), load=Open(constant(100), max_in_flight=3), duration_s=0.2)

    def left(stop_after):
        _, records = drive(plan, takes=[5, 0], stop_after=stop_after)
        errors = [[marks.error for marks in records if marks.target == t] for t in (0, 1)]
        hung = (errors[0].count("client_dropped"), errors[0].count("cancelled"))
        # Four calls that are due at once, after 40 ms without the processor, are one too many.
        return (errors[1], hung) == ([""] * 20, (17, 3))

    assert in_time(left)


def test_targets_have_the_same_rounds_and_each_call_a_number_of_its_own():
    plan = Plan(targets=(A, B), load=Open(constant(50)), duration_s=0.4)
    _, records = drive(plan)
    by_number = [m.target for m in sorted(records, key=lambda marks: marks.request)]
    assert by_number == [0, 1] * 20


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_parts_together_are_the_plan(parts):
    plan = Plan(targets=(A, B), load=Open(poisson(100)), duration_s=0.2, seed=3)
    found = []
    for k in range(parts):
        _, records = drive(plan, part=(k, parts))
        found += [marks.request for marks in records]
        # Each worker has the same rounds of all targets, so it is no difference between them.
        assert {marks.request // 2 % parts for marks in records} == {k}
        assert all(marks.target == marks.request % 2 for marks in records)
    assert sorted(found) == sorted(plan.schedule()[1].tolist())


def test_users_of_each_target_are_shared_out_alike():
    plan = Plan(targets=(A, B), load=Closed(users=4), requests=8)
    for k in range(2):
        _, records = drive(plan, takes=0.001, part=(k, 2))
        assert [sum(m.target == t for m in records) for t in (0, 1)] == [4, 4]


def test_warm_up_is_marked_and_comes_before():
    plan = Plan(targets=(A,), load=Open(constant(100)), duration_s=0.2, warmup_s=0.1)
    _, records = drive(plan)
    warm = sorted(marks.request for marks in records if marks.flags & Flag.WARMUP)
    assert warm == list(range(10))
    assert len(records) == 30


@pytest.mark.parametrize(("users", "requests"), [(1, 7), (3, 7), (8, 5)])
def test_closed_loop_makes_exactly_the_requests_asked_for(users, requests):
    plan = Plan(targets=(A, B), load=Closed(users=users), requests=requests)
    _, records = drive(plan, takes=0.001)
    assert [requests, requests] == [sum(m.target == t for m in records) for t in (0, 1)]
    assert len({marks.request for marks in records}) == len(records)


def test_closed_loop_has_as_many_in_flight_as_users():
    plan = Plan(targets=(A,), load=Closed(users=4), requests=40)
    _, records = drive(plan, takes=0.005)
    moments = [(m.start, 1) for m in records] + [(m.end, -1) for m in records]
    level = most = 0
    for _, step in sorted(moments):
        level += step
        most = max(most, level)
    assert most == 4


@settings(max_examples=15)
@given(stop_after=st.floats(0, 0.15), takes=st.floats(0, 0.1))
def test_stopping_loses_no_call(stop_after, takes):
    plan = Plan(targets=(A,), load=Open(constant(300)), duration_s=0.15)
    load, records = drive(plan, takes=takes, stop_after=stop_after)
    numbers = sorted(marks.request for marks in records)
    assert numbers == list(range(len(numbers)))
    assert load.tasks == set()
    assert load.ending.why in {"stopped", "finished"}


def test_a_stop_cancels_what_is_in_flight():
    plan = Plan(targets=(A,), load=Open(constant(100)), duration_s=30)
    load, records = drive(plan, takes=30, stop_after=0.2)
    assert {marks.error for marks in records} == {"cancelled"}
    assert load.ending.why == "stopped"


def test_a_stop_ends_the_wait_for_the_next_call():
    plan = Plan(targets=(A,), load=Open(constant(0.01)), requests=2)
    load, records = drive(plan, stop_after=0.05)
    assert [marks.request for marks in records] == [0]
    assert load.ending.why == "stopped"


def test_a_load_without_hope_ends_early():
    plan = Plan(targets=(A,), load=Open(constant(500)), duration_s=20)
    load, records = drive(plan, error="authentication")
    assert (load.ending.why, load.ending.detail) == (
        "hopeless",
        "all calls failed with authentication",
    )
    # Calls that a busy machine let come due at once were sent before the tenth failed.
    assert HOPELESS <= len(records) < 10 * HOPELESS


@pytest.mark.parametrize("error", ["server_error", "rate_limited", "stream_truncated"])
def test_failures_of_the_server_are_measured_to_the_end(error):
    plan = Plan(targets=(A,), load=Open(constant(500)), duration_s=0.2)
    load, records = drive(plan, error=error)
    assert load.ending.why == "finished"
    assert len(records) == 100


def test_one_success_is_hope():
    plan = Plan(targets=(A,), load=Open(constant(500)), duration_s=0.2)
    load, records = drive(plan, error="authentication", fails_from=1)
    assert load.ending.why == "finished"
    assert len(records) == 100


def test_the_limit_of_errors_ends_the_load():
    plan = Plan(targets=(A,), load=Open(constant(500)), duration_s=20, max_errors=5)
    load, records = drive(plan, error="server_error")
    assert load.ending.why == "max_errors"
    assert len(records) < 1000  # of 10,000: some may be under way by then, on a busy machine
    alone = Plan(targets=(A,), load=Closed(users=1), requests=1000, max_errors=5)
    load, records = drive(alone, error="server_error")
    assert load.ending.why == "max_errors"
    assert [marks.error for marks in records] == 5 * ["server_error"]


def test_a_bug_in_send_is_not_hidden():
    async def main():
        async def send(number, target, due):
            raise ZeroDivisionError

        plan = Plan(targets=(A,), load=Open(constant(100)), duration_s=5)
        await Load(plan, send, [].append, zero=perf_counter()).run()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())


def talks(plan, *, turns=3, think=0.0, takes=0.01, fails=(), part=(0, 1), stop_after=None):
    """Drive conversations of so many turns, of which calls of the numbers `fails` fail."""
    records: list[Marks] = []
    targets = len(plan.targets)

    async def send(number: int, target: int, due: float) -> Marks:
        marks = Marks(number, target, due)
        marks.start = perf_counter()
        try:
            await asyncio.sleep(takes)
            marks.error = "server_error" if number in fails else ""
        except asyncio.CancelledError:
            marks.error = "cancelled"
        marks.end = perf_counter()
        return marks

    def follow(marks: Marks) -> float | None:
        last = marks.request // targets % plan.prompts.turns == turns - 1
        return None if last or marks.error else marks.end + think

    async def main() -> Load:
        load = Load(plan, send, records.append, zero=perf_counter(), follow=follow, part=part)
        if stop_after is not None:
            asyncio.get_running_loop().call_later(stop_after, load.stop)
        async with asyncio.timeout(60):
            await load.run()
        return load

    return asyncio.run(main()), records


HELD = Prompts(dataset=dataset([Request("a", then=["b", "c"])]))


def by_turn(records, targets=1):
    """The numbers of each conversation's calls, in the order in which they ended."""
    held: dict[tuple[int, int], list[int]] = {}
    for marks in records:
        number, turn = divmod(marks.request // targets, 3)
        held.setdefault((number, marks.target), []).append(turn)
    return held


@pytest.mark.parametrize("load", [Open(constant(100)), Closed(users=2)])
def test_turns_follow_one_another_and_each_is_due_when_its_person_has_thought(load):
    plan = Plan(targets=(A, B), load=load, requests=4, prompts=HELD)
    _, records = talks(plan, think=0.02)
    held = by_turn(records, 2)
    assert held == {(n, target): [0, 1, 2] for n in range(4) for target in (0, 1)}
    assert all(marks.target == marks.request % 2 for marks in records)
    ends = {(m.request, m.target): m.end for m in records}
    for marks in records:
        if marks.request // 2 % 3:
            assert marks.due == ends[marks.request - 2, marks.target] + 0.02
            assert marks.start >= marks.due


def test_a_failed_turn_ends_its_conversation_and_no_other():
    plan = Plan(targets=(A,), load=Open(constant(100)), requests=3, prompts=HELD)
    _, records = talks(plan, fails={4})
    assert by_turn(records) == {(0, 0): [0, 1, 2], (1, 0): [0, 1], (2, 0): [0, 1, 2]}


@pytest.mark.parametrize("load", [Open(constant(100)), Closed(users=2)])
def test_the_end_lets_the_call_in_flight_come_and_sends_no_further_turn(load):
    plan = Plan(targets=(A,), load=load, duration_s=0.1, prompts=HELD)
    ending, records = talks(plan, think=30, takes=0.05)
    assert {turn for turns in by_turn(records).values() for turn in turns} == {0}
    assert (ending.ending.why, {marks.error for marks in records}) == ("finished", {""})
    limited = replace(plan, duration_s=None, requests=9, max_errors=1)
    ending, records = talks(limited, think=30, fails={0})
    assert (ending.ending.why, len(by_turn(records)) < 9) == ("max_errors", True)


def test_who_only_thinks_when_a_load_is_stopped_leaves_no_record():
    plan = Plan(targets=(A,), load=Open(constant(100)), requests=3, prompts=HELD)
    load, records = talks(plan, think=30, takes=0.001, stop_after=0.2)
    assert [marks.error for marks in records] == [""] * 3
    assert (load.ending.why, load.in_flight) == ("stopped", 0)


def test_workers_share_conversations_whole():
    plan = Plan(targets=(A, B), load=Open(constant(200)), requests=6, prompts=HELD)
    parts = [by_turn(talks(plan, takes=0.0, part=(k, 2))[1], 2) for k in (0, 1)]
    assert not parts[0].keys() & parts[1].keys()
    assert {**parts[0], **parts[1]} == {(n, t): [0, 1, 2] for n in range(6) for t in (0, 1)}


def test_people_who_think_are_not_in_flight_and_those_who_wait_for_an_answer_are():
    load = Open(constant(20), max_in_flight=1)
    plan = Plan(targets=(A,), load=load, requests=2, prompts=HELD)

    def dropped(**more):
        return [marks.error for marks in talks(plan, **more)[1]].count("client_dropped")

    # On a machine that stands still for 50 ms both are due at once: not each time.
    assert any(dropped(think=0.2, takes=0.0) == 0 for _ in range(5))
    assert in_time(lambda stop_after: dropped(takes=5, stop_after=stop_after) == 1)
