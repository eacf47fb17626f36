"""What answers to questions with one right answer are worth, and what two roads add."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import holymon as hm
from holymon.figures.checked_answers import is_right, right_answers
from holymon.figures.roads import road_of_calls, token_counts
from holymon.figures.same_model import Sides, same_model
from holymon.plan.checks import KINDS, WORD, checks, checks_in
from holymon.records.checked import CheckedCall
from holymon.sim.answers import answer_to, is_known

ASKED = checks(300, seed=3)


@given(st.integers(0, 2**32), st.integers(50, 300))
def test_every_question_has_one_right_answer_which_the_simulator_knows(seed, number):
    asked = checks(number, seed)
    assert len(asked) == number
    assert asked == checks(number, seed)
    for check in asked:
        given_answer = answer_to(check.text, 1.0, 0.0, 0.5)
        if check.kind != WORD:
            assert is_right(check, given_answer)
            assert not is_right(check, answer_to(check.text, 0.0, 0.0, 0.5))


@pytest.mark.parametrize(
    ("kind", "dress"),
    [("arithmetic", "**{}**."), ("arithmetic", " {}\n"), ("copying", '"{}"'), ("ordering", "{}."),
     ("JSON", "```json\n{}\n```"), ("JSON", " {} ")],
)  # fmt: skip
def test_how_an_answer_is_dressed_is_no_mistake(kind, dress):
    (check, *_) = (check for check in ASKED if check.kind == kind)
    assert is_right(check, dress.format(check.answer))
    assert not is_right(check, f"Sure: {check.answer}")


def test_thousands_may_be_parted_and_json_must_be_of_its_schema():
    (check, *_) = (c for c in ASKED if c.kind == "arithmetic" and len(c.answer) > 3)
    assert is_right(check, f"{int(check.answer):,}")
    (check, *_) = (c for c in ASKED if c.kind == "JSON")
    held = json.loads(check.answer)
    for wrong in ({**held, "age": str(held["age"])}, {**held, "more": 1}, {**held, "age": True}):
        assert not is_right(check, json.dumps(wrong))
    assert not is_right(check, "[" * 100_000)
    assert not is_right(check, f"```{' ' * 100_000}x")  # a pattern once took hours for it


@pytest.mark.parametrize("text", [
    "Sort these numbers from small to large, please: , ,",
    f"What is {'9' * 5000} + 1? Answer with the number alone.",
])  # fmt: skip
def test_what_only_looks_like_a_question_has_no_answer(text):
    assert answer_to(text, 1.0, 0.0, 0.5) is None


@settings(max_examples=15)
@given(st.text(max_size=60))
def test_whatever_a_server_writes_is_right_or_wrong(text):
    assert {is_right(check, text) for check in ASKED[:20]} <= {True, False}


def answered(knows: float) -> dict[int, CheckedCall]:
    return {n: CheckedCall(number=n, target=0, text=answer_to(check.text, knows, 0.0, 0.5))
            for n, check in enumerate(ASKED)}  # fmt: skip


def test_right_answers_are_counted_and_compared_question_by_question():
    a, b = answered(1.0), answered(0.5)
    result = right_answers(ASKED, a, b)
    known = [check for check in ASKED if check.kind != WORD]
    truth = sum(is_known(check.text, 0.5) for check in known)
    assert (result.a.value, result.b.value) == (1.0, truth / len(known))
    assert result.p == pytest.approx(2 / 2 ** (len(known) - truth))
    assert sum(of for *_, of in result.by_kind.values()) == len(known)
    assert set(result.by_kind) == set(KINDS)
    assert right_answers(ASKED, a, a).p == 1.0
    assert right_answers(ASKED, {}, b).p is None


COUNTS = st.sets(st.integers(5, 500), min_size=8, max_size=12).map(sorted)


@settings(max_examples=15)
@given(COUNTS, st.integers(1, 2000))
def test_a_hidden_prompt_is_a_constant_and_another_tokenizer_is_none(counts, more):
    assert token_counts(counts, counts).same
    assert token_counts(counts, [n + more for n in counts]).more == more
    other = token_counts(counts, [2 * n for n in counts])
    assert other.otherwise
    assert not token_counts(counts, [-1] * len(counts)).texts


def test_of_texts_of_one_length_a_constant_is_not_told_from_a_factor():
    assert token_counts([10] * 9, [12] * 9).times == (1.2, 1.2, 1.2)


def test_differences_are_of_pairs_and_streams_in_one_piece_are_counted():
    pairs = []
    for n in range(100):
        each = {"number": n, "at_s": float(n), "stream": True, "events": 8}
        a = CheckedCall(target=0, ttft_s=0.1 + n, latency_s=0.2 + n, span_s=0.1, pieces=8, **each)
        b = CheckedCall(target=1, ttft_s=0.13 + n, latency_s=0.25 + n, span_s=0.0, pieces=1, **each)
        pairs.append((a, b))
    road = road_of_calls(pairs)
    assert road.pairs == 100
    assert (road.ttft_s.value, road.latency_s.value) == (pytest.approx(0.03), pytest.approx(0.05))
    assert road.latency_s.low <= road.latency_s.value <= road.latency_s.high
    assert [rate.value for rate in road.one_piece] == [0.0, 1.0]


def test_a_number_of_checks_is_none_or_enough():
    assert (checks_in(0), checks_in(200)) == (0, 200)
    for wrong in (1, -5, 10**6):
        with pytest.raises(hm.PlanError, match="checks is"):
            checks_in(wrong)


def calls(knows=1.0, *, seed=0, tokens=1, failed=0, cached=False) -> dict[int, CheckedCall]:
    """What a model answers; the first `failed` calls have none."""
    rng, made = np.random.default_rng(seed), {}
    for n, check in enumerate(ASKED):
        drawn = 0.0 if cached else rng.random()
        text = answer_to(check.text, knows, 0.0, drawn)
        made[n] = CheckedCall(number=n, target=0, text=text, prompt_tokens=len(check.text) * tokens,
                              error_type="rate_limited" if n < failed else "")  # fmt: skip
    return made


def verdict_on(b: dict[int, CheckedCall]):
    return same_model(Sides(("a/m", "b/m"), (calls(seed=1), b)), ASKED)


@pytest.mark.parametrize(
    ("b", "result", "sentence"),
    [
        (calls(seed=2), "equal", "b/m chooses words as a/m does"),
        (calls(seed=2, tokens=2), "not shown", "the answers are alike, but b/m counts other"),
        (calls(seed=2, failed=40), "not shown", "40 of 300 checked calls of b/m failed (rate_limited)"),
        (calls(seed=2, cached=True), "different", "b/m always chooses the same word for a prompt"),
        (calls(0.4, seed=2), "different", "questions rightly, a/m 100 %"),
        ({}, "not shown", "too few answers began with a word"),
    ],
)  # fmt: skip
def test_what_is_alike_what_is_not_and_what_nobody_knows(b, result, sentence):
    same = verdict_on(b)
    assert (same.result, any(sentence in reason for reason in same.reasons)) == (result, True)
    assert same.exit_code == {"equal": 0, "different": 1, "not shown": 3}[same.result]
