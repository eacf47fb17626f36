"""C. Limits: `--timeout` lifts the others, a model may think in silence, and errors name the limit."""

import asyncio

import click
import pytest

from holymon.cli import options
from holymon.load import timeouts
from holymon.load.timeouts import stall_of
from holymon.plan.plan import TIMEOUT_S, Plan
from tests.promises.faults.server import CHUNKED, HANG, LAST, chunk, event

from .cases import DONE, END, HEL, LO, Case, body, check, load, plan_of, whole

LATE, QUIET = 0.4, 0.15
"""In these tests a server is late by the first, in seconds, and a limit is the second."""

ANSWER = body(whole())
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(
    ANSWER
)
THINKING = [CHUNKED, *[step for _ in range(4) for step in (chunk(b": thinking\n\n"), LATE / 4)]]


def played(name: str, *steps, error: str = "", words: str = "", **more) -> Case:
    return Case(
        name,
        "api-docs.deepseek.com, rate limit: comments while a call waits",
        list(steps),
        error,
        words,
        **more,
    )


SILENT = played("silent", *THINKING, chunk(HEL + LO + END), LAST)
LATE_HEAD = played("late", LATE, HEAD + ANSWER, streamed=False)
ROLE = event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
WAITING = [
    chunk(b": keep-alive\n\n"),
    chunk(event({"object": "chat.completion.chunk", "choices": []})),
    chunk(ROLE),
]
# What was to come of these two was written down before they were tried.
ROLE_FIRST = Case("a role at once, then thought that nobody sees", "BlockRunAI/Franklin#74, mezmo/aura#504",
                  [CHUNKED, chunk(ROLE), LATE, chunk(HEL + LO + END), LAST])  # fmt: skip
KEPT_OPEN = Case("tokens, then only what keeps the stream open", "NousResearch/hermes-agent#17392",
                 [CHUNKED, chunk(HEL), *[step for alive in WAITING for step in (alive, LATE / 3)],
                  chunk(LO + END), LAST])  # fmt: skip
PAUSE = played("pause", CHUNKED, chunk(HEL), LATE, chunk(LO + END), LAST)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(timeouts, "STALL_S", QUIET)


def failing(case: Case, error: str, words: str) -> Case:
    return Case(case.name, case.source, case.body, error, words, streamed=case.streamed)


@pytest.mark.parametrize(
    ("case", "limits"),
    [
        (LATE_HEAD, {}),
        (LATE_HEAD, {"timeout_s": TIMEOUT_S}),
        (LATE_HEAD, {"stall_s": QUIET}),  # of streams
        (SILENT, {"timeout_s": TIMEOUT_S}),  # although two tokens may be only QUIET apart
        (SILENT, {"timeout_s": 5}),
        (SILENT, {"stall_s": 5, "timeout_s": TIMEOUT_S}),
        (ROLE_FIRST, {"timeout_s": TIMEOUT_S}),
        (KEPT_OPEN, {"timeout_s": TIMEOUT_S, "stall_s": 5}),
        (PAUSE, {"timeout_s": 5}),
        (PAUSE, {"timeout_s": TIMEOUT_S, "stall_s": 5}),
    ],
)  # fmt: skip
def test_who_is_late_within_the_limits_has_answered(case, limits):
    check(case, *asyncio.run(load(case, **limits)))


@pytest.mark.parametrize(
    ("case", "limits", "error", "words"),
    [
        (LATE_HEAD, {"first_byte_s": QUIET}, "first_byte_timeout",
         "no answer began within 0.15 s: --first-byte sets this limit"),
        (LATE_HEAD, {"timeout_s": QUIET}, "deadline_exceeded", "not over within 0.15 s: --timeout sets this limit"),
        (SILENT, {"stall_s": QUIET}, "stream_stalled", "no further token within 0.15 s: --stall sets this limit"),
        (KEPT_OPEN, {"timeout_s": TIMEOUT_S}, "stream_stalled", "no further token within 0.15 s: --stall sets this limit"),
        (PAUSE, {"timeout_s": TIMEOUT_S}, "stream_stalled", "no further token within 0.15 s: --stall sets this limit"),
        (PAUSE, {"timeout_s": QUIET}, "deadline_exceeded", "not over within 0.15 s: --timeout"),
        (played("hang", CHUNKED, HANG), {"timeout_s": QUIET}, "deadline_exceeded", "--timeout"),
    ],
)  # fmt: skip
def test_a_limit_that_was_exceeded_is_named_with_its_option(case, limits, error, words):
    check(failing(case, error, words), *asyncio.run(load(case, **limits)))


def plan_by(*arguments: str) -> Plan:
    """The plan of a command line."""
    made = []

    @click.command()
    @options.LOAD
    def command(**given):
        made.extend(
            options.plans_of(("sim/fast",), **{k: v for k, v in given.items() if k != "out"})
        )

    command.main([*arguments], standalone_mode=False)
    return made[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), (120, None, None)),
        (("--timeout", "300"), (300, None, None)),
        (("--timeout", "300", "--first-byte", "5"), (300, 5, None)),
        (("--stall", "7"), (120, None, 7)),
    ],
)
def test_the_options_are_the_limits(arguments, expected):
    plan = plan_by(*arguments)
    assert (plan.timeout_s, plan.first_byte_s, plan.stall_s) == expected


def test_the_usual_stall_is_lifted_by_another_timeout_and_a_target_may_have_its_own():
    case = Case("x", "ours", b"")
    assert stall_of(plan_of("http://127.0.0.1:9", case, timeout_s=TIMEOUT_S), 0) == QUIET
    assert stall_of(plan_of("http://127.0.0.1:9", case, timeout_s=300), 0) == 300
    assert stall_of(plan_by("--timeout", "300"), 0) == 2.0, "the simulator's own, in targets.toml"
    assert stall_of(plan_by("--stall", "7"), 0) == 7
    assert DONE
