"""Figures by turn, from rows written by hand: what a cache saves, and what became of conversations."""

import numpy as np
import pytest

from holymon.errors import CODES, PlanError
from holymon.figures.turns import turns_of
from holymon.formatting import percent
from holymon.plan.target import Target
from holymon.records.attempt import DTYPE, GAP, Flag, blank
from holymon.records.records import Records

BASE, FRESH = 0.05, 0.0002
TURNS = 7
FOLLOWS = int(Flag.TURN_FOLLOWS)


def records(held: list[list[tuple[str, int]]], *, cached: bool = True, targets: int = 1) -> Records:
    """Conversations of the last target: an error and flags for each turn that was sent."""
    made = Records(
        tuple(Target(provider="p", model=f"m{k}", base_url="http://h/v1") for k in range(targets)),
        turns=TURNS,
    )
    calls = [(n, k, *call) for n, turns in enumerate(held) for k, call in enumerate(turns)]
    rows = blank(len(calls))
    rows["target"] = targets - 1
    for row, (n, turn, error, flags) in zip(rows, calls, strict=True):
        row["request"] = (n * TURNS + turn) * targets + targets - 1
        row["error"], row["flags"] = CODES[error] if error else 0, flags | int(Flag.STREAM)
        row["due_s"] = row["start_s"] = n + turn / 10
        row["prompt_tokens"] = 100 + 17 * (n % 9) + 150 * turn
        row["cached_tokens"] = (
            (row["prompt_tokens"] - 40 - 3 * (n % 5)) * (turn > 0) if cached else -1
        )
        fresh = row["prompt_tokens"] - max(row["cached_tokens"], 0)
        row["first_s"] = row["start_s"] + BASE + FRESH * fresh
        row["end_s"] = row["first_s"] + 0.01
    made.extend(rows.astype(DTYPE), np.zeros(0, GAP), np.zeros(len(rows), np.int64))
    return made


def whole(turns: int = TURNS) -> list[tuple[str, int]]:
    return [("", FOLLOWS)] * (turns - 1) + [("", 0)]


def test_what_a_fresh_token_costs_and_what_the_cache_saves_is_what_it_was():
    (held,) = turns_of(records([whole()] * 30)).targets
    assert held.per_fresh_token_s.value == pytest.approx(FRESH, rel=1e-6)
    assert held.saved_s.value == pytest.approx(FRESH * held.turns[-1].cached_tokens, rel=0.05)
    assert held.later_s.ci[1] < 0
    rows = [(turn.name, turn.calls, turn.failed) for turn in held.turns]
    assert rows == [*((str(k), 30, 0) for k in range(1, 6)), ("6 to 7", 60, 0), ("2 to 7", 180, 0)]
    assert held.turns[0].cache_hit_rate == 0
    assert 0 < held.turns[1].cache_hit_rate < 1
    assert percent(held.turns[1].cache_hit_rate) in str(turns_of(records([whole()] * 30)))
    untold = turns_of(records([whole()] * 30, cached=False)).targets[0]
    assert untold.turns[0].cache_hit_rate is None
    assert (untold.saved_s.value, untold.later_s.value > 0) == (None, True)
    assert untold.notes == (
        "what the cache saves is not known: the server does not tell what it had.",)  # fmt: skip


def test_conversations_were_held_whole_ended_early_for_a_reason_or_were_cut():
    mute = FOLLOWS | int(Flag.NO_TEXT_TO_FOLLOW)
    warm = [("server_error", FOLLOWS | int(Flag.WARMUP))]
    held = [
        whole(), whole(2), whole(1),
        [("", FOLLOWS), ("rate_limited", FOLLOWS)], [("rate_limited", FOLLOWS)], [("client_dropped", 0)],
        [("", FOLLOWS), ("", mute)],
        [("", FOLLOWS)], [("", FOLLOWS), ("cancelled", FOLLOWS)], [("unfinished", 0)],
        warm,
    ]  # fmt: skip
    first, figures = turns_of(records(held, targets=2)).targets
    assert (first.conversations, first.turns[0].calls) == (0, 0)
    assert (figures.conversations, figures.whole, figures.early, figures.cut) == (10, 3, 4, 3)
    assert figures.reasons == {
        "rate_limited": 2, "client_dropped": 1, "an answer without text to go on from": 1}  # fmt: skip
    assert figures.facts[0] == (
        "4 of 10 conversations ended early: 2 rate_limited, 1 client_dropped, 1 an answer without "
        "text to go on from; 3 cut by the end of the run"
    )
    assert figures.turns[0].failed == 1


def test_where_no_conversations_were_held_that_is_all_there_is_to_say():
    plain = Records((Target(provider="p", model="m", base_url="http://h/v1"),))
    assert turns_of(plain).targets == ()
    assert turns_of(plain).table.text() == "no conversations were held"
    with pytest.raises(PlanError):
        turns_of("a run")


def test_a_frame_says_which_turn_of_which_conversation_each_call_was():
    frame = records([whole(2), whole(1)], targets=2).to_frame()
    assert frame[["conversation", "turn"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 1]]
    assert frame["turn_follows"].tolist() == [True, False, False]
