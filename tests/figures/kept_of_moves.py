"""What is kept of whether to move: the same model or not, what it costs, what is decided."""

import dataclasses
from functools import cache

import numpy as np

from holymon.figures import (
    more_calls,
    quantiles,
)
from holymon.figures.bills import Amount, bill_of
from holymon.figures.comparisons import Comparisons
from holymon.figures.deciding import between, decide, earned
from holymon.figures.hours import by_hour
from holymon.figures.migration import Saving, Stated, break_even, cost_row, saving, unpriced
from holymon.figures.roads import Road, road_of_rows, token_counts
from holymon.figures.same_model import Sides, same_model
from holymon.figures.same_types import SameModel, SameModels, SelfReport, in_ms, in_tokens
from holymon.figures.sheet import Offer, Sheet, best_first
from holymon.figures.size_types import Fitted
from holymon.figures.sizes import sizes_of
from holymon.figures.summary import summarize
from holymon.figures.terms import Terms
from holymon.figures.verdict import check_objective
from holymon.plan import slo
from holymon.plan.checks import WORD, checks
from holymon.records.attempt import Flag
from holymon.records.checked import CheckedCall
from holymon.structs import replace
from tests.figures.in_lines import properties, shown, squeezed
from tests.figures.messy_run import (
    MOVE,
    NAMES,
    PLAN,
    SLO,
    TERMS,
    chance,
    compared,
    messy,
    pairs,
    records,
    summary,
)

BATTERY = checks(240, seed=5)


@cache
def answers(target, *, knows=1.0, skew=1.0, more=0, fails=0.0, times=1.0, at_once=False, name="m"):
    made = {}
    u, v = chance(240, 50 + target), chance(240, 70 + target)
    for number, check in enumerate(BATTERY):
        words = check.text.partition(": ")[2].rstrip(".").split(", ")
        text = check.answer if v[number] < knows else "no"
        if check.kind == WORD:
            text = (words or ["x"])[int(u[number] ** skew * len(words))]
        bad = bool(v[number] > 1 - fails)
        made[number] = CheckedCall(
            number, target, "" if bad else text, served=name, fingerprint=f"fp-{number % 2}" * (target > 0),
            prompt_tokens=int((len(check.text) + more) * times), output_tokens=6,
            finish="" if bad else ("stop", "length")[number % 5 == 0],
            error_type="server_error" if bad else "", message="no" * bad, at_s=number / 10,
            ttft_s=0.1 + 0.05 * u[number] * (1 + target), latency_s=0.3 + 0.1 * v[number] + 0.04 * target,
            span_s=0.0 if at_once else 0.05, pieces=1 if at_once else 6, events=6, stream=True,
        )  # fmt: skip
    return made


@cache
def same(kind="alike"):
    other = {
        "alike": {}, "words": {"skew": 3.0}, "wrong": {"knows": 0.4, "times": 1.3},
        "piece": {"at_once": True, "name": "n", "more": 37}, "fails": {"fails": 0.3, "more": -3},
    }[kind]  # fmt: skip
    figures = summarize(records(), replace(PLAN, slo=SLO if kind == "alike" else ())).targets[:2]
    sides = Sides(
        (NAMES[0], NAMES[1]),
        (answers(0), answers(1, **other)),
        figures if kind != "wrong" else None,
    )
    a, b = (records().chosen(records().mask(k)) for k in (0, 1))
    n = min(len(a), len(b))
    road = road_of_rows(records().rows[a.positions[:n]], records().rows[b.positions[:n]])
    return same_model(sides, BATTERY, candidates=2, road=road if kind == "words" else None,
                      cost_usd=0.5, simulated=kind == "alike")  # fmt: skip


def models():
    for kind in ("alike", "words", "wrong", "piece", "fails"):
        found = same(kind)
        yield from shown(kind, found)
    empty = Sides((NAMES[0], NAMES[1]), ({}, {}))
    yield from shown("not asked", same_model(empty, BATTERY))
    yield from shown("refused", same_model(empty, BATTERY, unasked="there was no money"))
    few = {k: answers(0)[k] for k in range(12)}
    yield from shown("few", same_model(Sides((NAMES[0], "p/x"), (few, few)), BATTERY))
    yield from shown("both", SameModels((same("alike"), same("words"))))


def roads():
    for title, x, y in (
        ("few", (9, 8, -1), (9, 8, 7)), ("same", (9, 8, 50, 7), (9, 8, 50, 7)),
        ("more", (10, 80, 50, 7), (47, 117, 87, 44)), ("fewer", (10, 80, 50, 7), (7, 77, 48, 4)),
        ("of one length", (10, 10, 11, 10), (14, 14, 15, 14)), ("times", (10, 80, 50, 7), (13, 104, 60, 9)),
    ):  # fmt: skip
        found = token_counts(x, y)
        yield from [*shown(title, found), in_tokens(found)]
    for amount in (
        Amount(0.0123),
        Amount(-0.5, -0.75, 0.25),
        Amount(0.1, None, 0.2),
        Amount(0.0, -0.001, 0.001),
    ):
        yield in_ms(amount)
    report = SelfReport(
        9, {"server_error": 2}, 1, {f"m{k}": 9 - k for k in range(5)}, {}, {"stop": 5, "length": 2}
    )
    mute = SelfReport(0, {}, 0, {}, {}, {})
    road = Road(7, Amount(0.1), None, (quantiles.wilson(1, 9), quantiles.wilson(0, 0)))
    for result, reports in (
        ("not shown", (mute, mute)),
        ("different", (report, mute)),
        ("equal", (report, report)),
    ):
        found = SameModel("p/a", "p/b", result, ("a reason",), reports, road, token_counts((9,), (9,)),
                          correct=(Amount(0.5), None), correct_per_s=(None, Amount(2.0, 1.0, 3.0)))  # fmt: skip
        yield from shown(result, found)
    for fitted in (
        Fitted(),
        Fitted(0.0123),
        Fitted(0.00001234, (-0.1, 0.25)),
        Fitted(1.5, (1.0, 2.0)),
    ):
        yield fitted.words("ms")


def offer(k, invalid=()):
    bills = [bill_of(records(), 0), bill_of(records(), k)]
    terms = (TERMS[0], TERMS[k])
    saved = saving(*bills, pairs(k), terms, MOVE, 0.975)
    whys = "; ".join(filter(None, map(unpriced, bills, terms)))
    a, b = summary().targets[0], summary().targets[k]
    goals = [(check_objective(goal, b), check_objective(goal, a)) for goal in map(slo.parse, SLO)]
    decided = decide(b, a, saved or whys, MOVE, goals, compared()[k - 1], invalid)
    return Offer(b.target, decided, saved, same("words" if k == 1 else "piece"), whys)


def small(one_off):
    """What a move of a few calls a month saves, in parts of a dollar."""
    move = Stated(calls_per_month=100, one_off=one_off)
    return saving(
        bill_of(records(), 0), bill_of(records(), 1), pairs(1), (TERMS[0], Terms(fx=1.1)), move
    )


def sheets():
    bills = [bill_of(records(), k) for k in range(3)]
    rows = [cost_row(bills[0], bills[1], pairs(1), TERMS[0], MOVE)] + [
        cost_row(bills[k], bills[0], [(b, a) for a, b in pairs(k)], TERMS[k], MOVE) for k in (1, 2)
    ]
    day = np.arange(48.0) * 3600
    hours = by_hour([(name, day, 1 + chance(48, k)) for k, name in enumerate(NAMES)])
    yield from shown(
        "hours with gaps", by_hour([("p/a", day[::3], day[::3]), ("p/b", day[:40], day[:40])])
    )
    offers = best_first((offer(2), offer(1)))
    sheet = Sheet(
        "a/run", NAMES[0], offers, MOVE, tuple(rows), summary().targets, compared(),
        sizes_of(records()), hours, "suspect", simulated=True, cautions=("a caution",),
    )  # fmt: skip
    yield from [*shown("sheet", sheet), repr(sheet), str(sheet.exit_code), str(offers[0].cells)]
    bare = dataclasses.replace(sheet, offers=(offer(1, ("the client was late",)),), hours=(), simulated=False,
                   measurement="valid", costs=tuple(rows[:1]))  # fmt: skip
    yield from [*squeezed(bare.table.text()), *shown("bare", bare.offers[0]), str(bare.exit_code)]
    for seed, share in enumerate((0.01, 0.03)):
        made = messy()
        uncounted = (chance(len(made), seed) < share) & (made["error"] == 0)
        made.rows["flags"][uncounted] &= 2**32 - 1 - int(Flag.SERVER_TOKENS)
        found = bill_of(made, 0)
        yield from shown(
            f"{share} uncounted", [found.cost, found.answer, found.reason, found.notes, found.whole]
        )
    yield from [*shown("of few calls", small(9.0)), *shown("without work", small(0.0))]
    yield from map(str, (each.words for each in TERMS))
    yield from shown(
        "months", [TERMS[1].paid(used) for used in (0.0, 60.0)] + [TERMS[1].lost(10.0)]
    )


def beside_each_other(result, interval, errors, metric="latency_s", stat="p95"):
    """A comparison in which one ratio has such a result, and so has what fails."""
    base = compared()[0]
    ratios = tuple(
        dataclasses.replace(each, result=result, interval=interval)
        if (each.metric, each.stat) == (metric, stat)
        else dataclasses.replace(each, result="same" if result == "same" else "no difference shown")
        for each in base.ratios
    )
    return dataclasses.replace(
        base, ratios=ratios, errors=dataclasses.replace(base.errors, result=errors), notes=()
    )


def decided():
    near, far = Amount(100.0, 80.0, 120.0), Amount(100.0, None, None)

    def saved(share, low, high):
        each = Amount(share, low, high)
        return Saving(near, near, near, each, break_even(near, 10.0), near, ())

    slower = beside_each_other("higher", (1.2, 1.5), "higher")
    faster = beside_each_other("lower", (0.5, 0.75), "lower")
    never = beside_each_other("higher", (1.2, np.inf), "no difference shown")
    ttft = beside_each_other("lower", (0.5, 0.75), "same", "ttft_s", "p50")
    alike_all = beside_each_other("same", (0.99, 1.01), "same")
    a, b, c = summary().targets
    limits = [
        slo.parse(text) for text in ("latency_p95<0.9", "error_rate<=2%", "itl_p95<9", "ttft_p99<1")
    ]
    goals = [
        [(check_objective(goal, x), check_objective(goal, a))] for goal in limits for x in (b, c)
    ]
    for title, money, against, some in (
        ("costs nothing", "", slower, []), ("not known", "no price", faster, []),
        ("no interval", saved(0.3, None, None), slower, []), ("cheaper", saved(0.3, 0.2, 0.4), alike_all, []),
        ("cheaper, slower", saved(0.3, 0.2, 0.4), slower, []), ("just enough", saved(0.2, 0.1, 0.4), faster, []),
        ("cheaper, never", saved(0.3, 0.2, 0.4), never, []), ("cheaper, TTFT", saved(0.3, 0.2, 0.4), ttft, []),
        ("dearer", saved(-0.3, -0.4, -0.2), slower, []), ("too little", saved(0.05, 0.01, 0.09), faster, []),
        ("nothing", saved(-0.05, -0.1, 0.0), ttft, []), ("perhaps", saved(0.15, 0.05, 0.25), slower, []),
        ("perhaps not", saved(0.08, 0.01, 0.14), never, []), ("too close", saved(0.1, 0.09, 0.11), ttft, []),
        *((f"goal {k}", saved(0.3, 0.2, 0.4), alike_all, each) for k, each in enumerate(goals)),
    ):  # fmt: skip
        for least in (0.1, 0.0) if "goal" not in title else (0.1,):
            move = Stated(calls_per_month=1e6, one_off=2000.0, min_saving=least)
            yield from shown(f"{title}, {least}", decide(b, a, money, move, some, against))
    few = dataclasses.replace(b, requests=20)
    yield from shown("few", decide(few, a, saved(0.15, 0.05, 0.25), MOVE, [], ttft))
    yield from shown(
        "invalid", decide(b, a, near and "x", MOVE, [], ttft, ["it stood", "it was late"])
    )
    for title, each in (
        ("slower", slower),
        ("faster", faster),
        ("never", never),
        ("TTFT", ttft),
        ("same", alike_all),
    ):
        yield from [f"== {title}", *squeezed(each.table.text()), *properties(each)]
    every = Comparisons((alike_all, faster, slower, never, ttft))
    yield from ["== five", *properties(every), *properties(Comparisons((never,)))]
    for one_off in (0.0, 500.0):
        for each in (
            near,
            far,
            Amount(-5.0, -9.0, 3.0),
            Amount(5.0, -1.0, 9.0),
            Amount(5.0, 0.0, 9.0),
        ):
            months = break_even(each, one_off)
            yield from shown(f"{one_off} {each.value} {each.low}", months)
            yield from [
                earned(months),
                between(months),
                str(each.cells(2)),
                str(each.times(3.0).cell),
            ]
    for times, n in (([1.5], 100), ([3.0, 1.1], 1000), ([50.0], 100), ([], 10), ([1.01], 0)):
        yield f"more calls {times} {n}: {more_calls.more_calls(times, n)}"
    yield from shown(
        "times",
        [more_calls.times_to(*x) for x in ((1.0, 1.2, 1.1), (1.0, 1.2, 1.0), (1.0, np.inf, 2.0))],
    )
    checks_of = [
        check_objective(slo.parse(text), x)
        for x in (a, b, c)
        for text in (*SLO, "error_rate<=4%", "cost_usd<9")
    ]
    yield from shown("times for", [more_calls.times_for(each, a) for each in checks_of])
