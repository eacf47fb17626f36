"""Results of messy runs, to the letter: what they show and hold is what the files in `kept` say.

    python -m tests.figures.test_kept        writes the files anew, for whoever then reads the diff

The other tests say why a figure is right; this one that none changes unnoticed.
"""

import dataclasses
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from holymon.errors import CODES
from holymon.figures import (
    alike,
    effective,
    error_budget,
    gate,
    level_model,
    log_counts,
    quantiles,
    size_fit,
    steady,
)
from holymon.figures.bill_difference import differences
from holymon.figures.bills import bill_of
from holymon.figures.blocks import blocks
from holymon.figures.calls import slowest
from holymon.figures.changes import beside, courses, line, since, steps
from holymon.figures.comparison import compare_pairs
from holymon.figures.comparisons import Comparisons
from holymon.figures.deciding import decide
from holymon.figures.durations import durations, if_many_failed, watched
from holymon.figures.hints import failures, why
from holymon.figures.hours import by_hour
from holymon.figures.machines import losses, notes_on
from holymon.figures.migration import Stated, cost_row, saving, unpriced
from holymon.figures.own_bill import Own, own_bill
from holymon.figures.places import PlaceRuns
from holymon.figures.places import beside as place_beside
from holymon.figures.probes import CacheLife, PrefixReading
from holymon.figures.reasons import Reason
from holymon.figures.reconciliation import Reconciliation
from holymon.figures.request_stats import request_stats
from holymon.figures.roads import road_of_rows
from holymon.figures.same_model import Sides, same_model
from holymon.figures.same_types import SameModels
from holymon.figures.sheet import Offer, Sheet, best_first
from holymon.figures.sizes import sizes_of
from holymon.figures.slo_events import slo_events
from holymon.figures.spending import RunSpending, TargetSpending, spending_of
from holymon.figures.standing import of_failures, of_percentile
from holymon.figures.summary import summarize, summarize_target
from holymon.figures.terms import Terms
from holymon.figures.tool_definitions import definitions
from holymon.figures.totals import totals
from holymon.figures.turns import turns_of
from holymon.figures.verdict import check_objective, judge
from holymon.plan import slo
from holymon.plan.checks import WORD, checks
from holymon.plan.plan import Open, Plan
from holymon.plan.price import Price
from holymon.plan.quirks import Quirks
from holymon.plan.shapes import constant
from holymon.plan.shapes import ramp as ramped
from holymon.plan.target import Target
from holymon.records.attempt import GAP, Flag, blank
from holymon.records.bill import CLASSES, ProviderBill, Sums
from holymon.records.checked import CheckedCall
from holymon.records.client_health import ClientHealth
from holymon.records.first_call import FirstCall
from holymon.records.records import Records
from holymon.records.shares import MachineShare
from holymon.structs import replace
from tests.figures.kept import (
    CLOSED,
    PLAN,
    SLO,
    TARGETS,
    chance,
    differing,
    messy,
    properties,
    shown,
    squeezed,
)

KEPT = Path(__file__).parent / "kept"
NAMES = [target.name for target in TARGETS]
MOVE = Stated(calls_per_month=1e6, one_off=2000.0)
TERMS = (
    Terms(), Terms(fx=1.1, fee=0.05, min_topup=50.0, credit_days=30.0), Terms(),
)  # fmt: skip


@cache
def records():
    made = messy()
    made.request_ids = lambda: {k: f"id-{k}" for k in range(0, 780, 7)}
    made.messages = lambda: {0: {"server_error": "it broke", "rate_limited": "slow down"}}
    return made


@cache
def summary():
    return summarize(records(), PLAN)


@cache
def pairs(other=1):
    return blocks(records(), 0, other, scheduled=True)


@cache
def compared():
    return Comparisons(
        compare_pairs(pairs(k), names=(NAMES[0], NAMES[k]), one_run=True, beside=1) for k in (1, 2)
    )


def summaries():
    yield from shown("open loop", summary())
    for target in summary().targets:
        yield from [f"== {target.target}", *squeezed(target.table.text())]
        yield from properties(target)
    yield from differing("closed loop", summarize(records(), CLOSED), summary())
    yield from shown("places", [
        of_percentile(summary().targets, "latency_s", "p50"), of_failures(summary().targets),
    ])  # fmt: skip
    every = records().chosen(records().mask())
    goals = [slo.parse(text) for text in (*SLO, "error_rate_without_429<1%")]
    yield from shown("events", slo_events(every, durations(every), goals))
    yield from shown("watched", {name: values.sum() for name, values in watched(every).items()})
    yield from shown("took", {
        name: [np.isinf(values).sum(), values[np.isfinite(values)].sum(), np.isnan(values).sum()]
        for name, values in durations(every).items()
    })  # fmt: skip
    yield from shown("of all", [if_many_failed(records(), k, "latency") for k in range(3)])


def failed():
    for target, called in zip(summary().targets, TARGETS, strict=True):
        yield from [f"== {target.target}", *map(str, failures(target, called)), why(target, called)]


def judged():
    bad = ClientHealth(
        t_s=np.arange(26.0), lag_s=chance(400, 3) * 0.004, cpu=np.where(np.arange(26) % 9 == 4, 0.95, 0.2),
        waited=np.where(np.arange(26) == 7, 0.6, 0.02), late_s=np.where(np.arange(26) == 7, 0.02, 1e-4),
        pause_s=np.where(np.arange(26) == 15, 0.3, 0.0), in_flight=np.full(26, 3),
        rss_mb=np.full(26, 60.0), lag_max_s=np.where(np.arange(26) == 20, 0.4, 0.004),
    )  # fmt: skip
    yield from shown("a troubled client", judge(summary(), PLAN, bad, records=records()))
    yield from shown("one that was stopped", judge(
        summary(), CLOSED, dataclasses.replace(bad, cpu=np.full(26, 0.2)), "interrupted", "no space", "one call",
        proxies={NAMES[0]: "http://proxy:1"},
    ))  # fmt: skip
    for text in (
        *SLO,
        "cost_usd<1",
        "tpot_p95<0.02",
        "output_tokens_per_s>50",
        "ttfo_max_of_successes<9",
    ):
        for target in summary().targets:
            try:
                check = check_objective(slo.parse(text), target)
            except ValueError:
                continue
            yield from shown(f"{text} {target.target}", check)


def parts():
    yield from shown("requests", request_stats(records()))
    yield from shown("the first target", request_stats(records().select(records()["target"] == 0)))
    yield from shown("sums", totals(records()))
    yield from shown("slowest", slowest(records(), 4))
    for each in definitions(records(), summary=summary()):
        yield f"{each.target} {each.figure} by {each.tool}: {each.values}"
    yield from shown("sizes", sizes_of(records()))


def comparisons():
    yield from shown("in one run", compared())
    doubts = {
        "a run": (Reason("suspect", "it was late"),),
        "b": (Reason("suspect", "it was busy"),),
    }
    yield from shown("of five runs", compare_pairs(pairs()[:5], doubts=doubts, effect=0.2))
    invalid = {
        "a run": (Reason("invalid", "it stood still"), Reason("invalid", "api", of_api=True))
    }
    yield from shown("of an invalid one", compare_pairs(pairs()[:5], doubts=invalid))
    yield from shown("of too few", compare_pairs(pairs()[:2]))
    yield from shown("not in turns", compare_pairs(pairs()[:5], interleaved=False))
    yield from shown(
        "the other way round", compare_pairs([(b, a) for a, b in pairs(2)], one_run=True)
    )


BATTERY = checks(240, seed=5)


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
    figures = (summary().targets[0], summary().targets[1])
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


def offer(k, invalid=()):
    bills = [bill_of(records(), 0), bill_of(records(), k)]
    terms = (TERMS[0], TERMS[k])
    saved = saving(*bills, pairs(k), terms, MOVE, 0.975)
    whys = "; ".join(filter(None, map(unpriced, bills, terms)))
    a, b = summary().targets[0], summary().targets[k]
    goals = [(check_objective(goal, b), check_objective(goal, a)) for goal in map(slo.parse, SLO)]
    decided = decide(b, a, saved or whys, MOVE, goals, compared()[k - 1], invalid)
    return Offer(b.target, decided, saved, same("words" if k == 1 else "piece"), whys)


def sheets():
    bills = [bill_of(records(), k) for k in range(3)]
    rows = [cost_row(bills[0], bills[1], pairs(1), TERMS[0], MOVE)] + [
        cost_row(bills[k], bills[0], [(b, a) for a, b in pairs(k)], TERMS[k], MOVE) for k in (1, 2)
    ]
    day = np.arange(48.0) * 3600
    hours = by_hour([(name, day, 1 + chance(48, k)) for k, name in enumerate(NAMES)])
    offers = best_first((offer(2), offer(1)))
    sheet = Sheet(
        "a/run", NAMES[0], offers, MOVE, tuple(rows), summary().targets, compared(),
        sizes_of(records()), hours, "suspect", simulated=True, cautions=("a caution",),
    )  # fmt: skip
    yield from [*shown("sheet", sheet), repr(sheet), str(sheet.exit_code), str(offers[0].cells)]
    bare = dataclasses.replace(sheet, offers=(offer(1, ("the client was late",)),), hours=(), simulated=False,
                   measurement="valid", costs=tuple(rows[:1]))  # fmt: skip
    yield from [*squeezed(bare.table.text()), *shown("bare", bare.offers[0]), str(bare.exit_code)]
    yield from map(str, (each.words for each in TERMS))
    yield from shown(
        "months", [TERMS[1].paid(used) for used in (0.0, 60.0)] + [TERMS[1].lost(10.0)]
    )


def spent():
    def run(began, day, *targets):
        return RunSpending(began, day, [TargetSpending(*each) for each in targets])

    runs = [
        run(90_000.0, "1970-01-02", (100, 0.5, 0.5, 4000.0, 900.0, 0.25, 0.1), (50, 0.25, 0.25)),
        run(3_600.0, "1970-01-01", (200, 1.25, 1.25, 1000.0, 100.0, 0.5, None)),
        run(200_000.0, "1970-01-03", (10, 0.75, 0.75)),
    ]
    unknown = run(100_000.0, "1970-01-02", (10, None, 0.125), (20, None, None))
    several = [run(86_400.0 * k, f"1970-02-{k:02}", (10, k / 4, k / 4)) for k in range(1, 18)]
    for title, some, budget in (
        ("three runs", runs, None), ("within", runs, 40.0), ("over", runs, 10.0),
        ("not all known", [*runs, unknown], None), ("may be over", [*runs, unknown], 40.0),
        ("over at least", [*runs, unknown], 10.0),
        ("none known", [unknown], 40.0), ("one", runs[:1], None), ("hours", runs[:2][::-1], 1.0),
        ("minutes", [runs[1], run(5_400.0, "1970-01-01", (1, 0.5))], None), ("many days", several, 99.0),
        ("exactly", runs, spending_of(runs, None, simulated=False).per_month),
    ):  # fmt: skip
        found = spending_of(some, budget, simulated=title == "within", reasons=["a reason"])
        yield from [*shown(title, found), repr(found).splitlines()[0]]
    yield from shown(
        "moments that nobody knows", spending_of([run(None, "", (1, 1.0))], None, simulated=False)
    )


def place(name, slower, seed, *, fails=2.0):
    n = 90
    took = 0.5 * slower * (1 + 0.2 * chance(n, seed))
    return PlaceRuns(
        name, 1_772_000_000.0 + 1800.0 * np.arange(n), np.where(np.arange(n) == 7, np.nan, took), 2 * took,
        np.floor(fails * chance(n, seed + 1)), np.where(np.arange(n) == 9, 0.0, 100.0),
    )  # fmt: skip


def places():
    a = place("here", 1.0, 1)
    for title, b in (
        ("slower", place("there", 1.3, 3)), ("as good", place("there", 1.0, 5)),
        ("fails more", place("there", 1.0, 5, fails=9.0)),
    ):  # fmt: skip
        found = place_beside(a, b, others=2)
        yield from [*shown(title, found), str(len(found.shown))]
    yield from shown("by hour", a.by_hour())
    yield from shown("each hour", a.hours())
    short = PlaceRuns(
        "there", *(getattr(a, name)[:3] for name in ("at", "p50", "p95", "failed", "calls"))
    )
    yield from shown("in few hours", place_beside(a, short))


def over_runs(figure, steps_at, seed, n=60, requests=300.0):
    level = np.prod([np.where(np.arange(n) >= k, by, 1.0) for k, by in steps_at], axis=0)
    value = (
        (0.01 if figure == "error_rate" else 0.4) * level * np.exp(0.05 * (chance(n, seed) - 0.5))
    )
    at = 1_772_000_000.0 + 3600.0 * np.arange(n)
    known = np.where(np.arange(n) % 11 == 5, np.nan, 1.04)
    return line(figure, "p/m", [f"runs/{k:03}" for k in range(n)], at, value, value / known,
                value * known, np.full(n, requests))  # fmt: skip


def changed():
    lines = [
        over_runs("latency_p95", [(20, 1.4), (57, 1.3)], 1), over_runs("latency_p50", [(57, 1.3)], 2),
        over_runs("ttft_p50", [(30, 0.7)], 3), over_runs("error_rate", [(56, 12.0)], 4),
        over_runs("cost_per_call", [(50, 1.5)], 5), over_runs("requests_per_s", [], 6),
        over_runs("error_rate", [], 7, requests=20.0),
    ]  # fmt: skip
    for each, course in courses(lines):
        yield from shown(each.figure, course)
        yield from shown("steps", steps(each, course))
    last = lines[0]
    for title, found in (
        ("in two days", since(lines, last.ids[-1], last.runs.at[-1] - 172_800)),
        ("in all", since(lines, last.ids[-1], 0.0)),
        ("beside the tenth", beside(lines, last.ids[-1], last.ids[10])),
        ("beside the last", beside(lines, last.ids[-1], last.ids[58])),
        ("of no run", since(lines, "other", 0.0)),
    ):  # fmt: skip
        yield from shown(title, found)
        yield from shown("each", (*found.changes, *found.least))


def conversations():
    yield from shown("turns", turns_of(messy(120, turns=4)))
    yield from shown("none", turns_of(messy(3)))


def machines():
    shares = (
        MachineShare(0, "one", "h1", 0.0, 1e-3, 1e-3, 2e-3, 0.1, 1e-3, 400, 9000),
        MachineShare(1, "two", "h2", 3.5, 2e-3, 5e-3, 4e-3, 0.6, 2e-3, 300, 7000, 12.5, 20, 3, "/there"),
        MachineShare(2, "three", "h3", -4.0, 1e-3, lost_s=20.0, unknown=2),
    )  # fmt: skip
    for unled in (True, False):
        yield from shown(f"unled {unled}", list(losses(shares, PLAN, 700, unled=unled)))
    yield from shown("all", list(losses(shares, PLAN, 900, unled=True)))
    yield from shown("closed", list(losses(shares, CLOSED, 7, unled=True)))
    yield from shown("notes", notes_on(shares))


def one_target():
    alone = records().select(records()["target"] == 2)
    whole = summarize_target(records(), 2)
    yield from differing("of all", whole, summarize_target(alone, 2))
    yield from differing("by its plan", summary().targets[2], whole)


def gated():
    margins = gate.Margins()
    capital = gate.Capital.new(len(gate.FIELDS) - 2)
    for k in range(40):
        side = [np.array([100, 1 + 4 * (k > 20), 9, 100, 5.0 + k / 20, 100, 50, 1.0])[: len(gate.FIELDS)]
                * (1 + chance(len(gate.FIELDS), k + j) / 9) for j in (0, 90)]  # fmt: skip
        score = gate.scores(side[0], side[1], margins)
        capital = gate.bet(gate.Capital.new(len(score)) if k == 0 else capital, score)
        if k % 8 == 7:
            yield from shown(f"block {k}", {
                "score": score, "worse": gate.evidence(capital.worse), "well": gate.evidence(capital.well),
                "best": capital.best, "blocks": capital.blocks, "fails": gate.fails(capital, margins, 4),
                "passes": gate.passes(capital, margins),
            })  # fmt: skip
    took = 0.2 + chance(60, 9)
    yield from shown(
        "limits",
        [*gate.slow_limit(0.5, took[:9]).ravel()[:1], *gate.long_limit(9.0, took).ravel()[:1]],
    )
    yield from shown(
        "walk", [gate.walk(lead, failed) for lead in range(-3, 9) for failed in (True, False)]
    )


def series():
    """Values that follow one another: by chance, alike, with ties, and a level that changes."""
    for k, n in enumerate((1, 3, 12, 80, 400)):
        u = chance(n, k)
        yield f"chance {n}", u
        yield f"alike {n}", np.exp(np.convolve(u, np.ones(5) / 5, "same"))
        yield f"ties {n}", np.round(u * 4)
        yield f"level {n}", u + (np.arange(n) > n / 2)


def numbers():
    for title, values in series():
        high = values > np.median(values)
        at, n = chance(len(values), 99), len(values)
        yield from shown(title, {
            "figure": quantiles.figure(values), "in time": quantiles.figure(values, at),
            "mean": quantiles.mean_interval(values, 0.95, neighbours=True) if n > 2 else None,
            "share": quantiles.share_of(high), "share in time": quantiles.share_of(high, at),
            "fewer": quantiles.fewer_alike(values) if n > 2 else None,
            "sizes": effective.effective_sizes(values, {"p50": 0.5, "p95": 0.95}),
            "worth": effective.effective_number(values), "hits": effective.effective_number(high),
            "ranks": effective.ranks(values)[:9], "likeness": effective.autocorrelation(values),
            "correlation": effective.rank_correlation(values, at), "memory": steady.memory(values),
            "warm": steady.warm_cells(values), "grows": steady.grows(values, 0.05),
            "alike": alike.about_failures(high), "course": alike.about_course(values),
            "line": size_fit.line(at, values) if n > 2 else None,
            "middle": size_fit.weighted_median(values, at), "counts": log_counts.with_more("", values),
            "binned": log_counts.figure_of([log_counts.with_more("", values + 0.01)]),
        })  # fmt: skip
    u, v = chance(300, 1), chance(300, 2)
    starts = np.sort(u * 60)
    yield from shown("stretch", steady.stretch_of(starts, starts + v, 60.0, 0.05))
    yield from shown(
        "stretch that grows", steady.stretch_of(starts, starts + v * starts, 60.0, 0.05)
    )
    yield from shown("design", log_counts.design_effect(np.round(u * 5), 5 + np.round(v * 9)))
    for hits, n in ((0, 0), (0, 9), (3, 9), (9, 9), (40, 1000)):
        rates = quantiles.wilson(hits, n), quantiles.wilson(7, 50)
        yield from shown(f"{hits} of {n}", [*rates, quantiles.newcombe(*rates)])
    for q in (0.5, 0.9, 0.95, 0.99):
        few = quantiles.fewest_for_interval(q)
        ranks = [quantiles.quantile_ranks(n, q) for n in (few - 1, few, 2 * few, 5000)]
        yield from shown(
            f"ranks of {q}", [quantiles.fewest(q), few, *(each or () for each in ranks)]
        )
    yield from shown(
        "by level", [level_model.limit(f, n) for f in (0.5, 3, 29, 31, 65) for n in (2, 5, 50)]
    )
    for seconds, runs in ((3600, 1), (172_799, 20), (172_800, 1), (2_419_200, 336)):
        yield error_budget.period_in_words(seconds, runs)
    for share, counts in (
        (0.01, [(2, 1000), (0, 500), (9, 700)]),
        (0.1, [(1, 3)]),
        (0.02, [(0, 10)] * 8),
    ):
        yield from shown(
            f"budget of {share}", error_budget.budget_of("s", "t", share, counts, counts[-1])
        )


def several_loads():
    """What another load, veiled reasoning, vectors and long slow answers make of the same calls."""
    ramp = replace(PLAN, load=Open(ramped(5.0, 15.0, 26.0)))
    yield from differing("a load that rises", summarize(records(), ramp), summary())
    made = messy(260)
    rows = made.rows
    rows["end_s"] += np.where(rows["error"] == 0, rows["due_s"] * 0.2, 0.0)
    yield from differing("and waits that rise", summarize(made, ramp), summary())
    yield from differing("which was not planned", summarize(made, PLAN), summarize(made, ramp))
    made = messy(260)
    rows = made.rows
    veiled = (rows["error"] == 0) & (rows["reasoning_tokens"] > 0)
    rows["flags"][veiled] |= int(Flag.VEILED)
    rows["chunks"][veiled] -= rows["reasoning_tokens"][veiled].astype(np.uint32)
    rows["reasoning_tokens"][veiled & (rows["request"] % 5 == 0)] = -1
    yield from differing("veiled", summarize(made, PLAN), summary())
    made = messy(260, slow_if_long=True)
    yield from differing("slow where long", summarize(made, PLAN), summary())
    target = Target(provider="p", model="v", base_url="http://h/v1", endpoint="embeddings",
                    price=Price(input=0.1))  # fmt: skip
    vectors = Records((target,))
    rows = blank(60)
    rows["request"] = np.arange(60)
    rows["due_s"] = rows["start_s"] = np.arange(60) / 10
    rows["end_s"] = rows["start_s"] + 0.1 + chance(60, 1) / 5
    rows["prompt_tokens"], rows["events"], rows["status"] = 30 + np.arange(60) % 7, 3, 200
    vectors.extend(rows, np.zeros(0, GAP), np.zeros(60, np.int64))
    plan = Plan(targets=(target,), load=Open(constant(10)), requests=60)
    yield from shown("vectors", summarize(vectors, plan))
    yield from properties(summarize(vectors, plan).targets[0])
    bare = replace(PLAN, slo=())
    yield from differing("no limits", summarize(records(), bare), summary())
    yield from differing("no plan", summarize(records()), summarize(records(), bare))
    nothing = records().select(records()["error"] == CODES["rate_limited"])
    yield from shown(
        "all refused", [each.to_dict()["notes"] for each in summarize(nothing, PLAN).targets]
    )
    for target, called in zip(summarize(nothing, PLAN).targets, TARGETS, strict=True):
        yield from [*map(str, failures(target, called)), why(target, called)]
    yield from shown("judged", judge(summarize(nothing, PLAN), PLAN, calm(), records=nothing))


def calm(n=26):
    return ClientHealth(
        t_s=np.arange(float(n)), lag_s=np.full(400, 3e-4), cpu=np.full(n, 0.1), waited=np.full(n, 0.02),
        late_s=np.full(n, 1e-4), pause_s=np.zeros(n), in_flight=np.ones(n, int), rss_mb=np.full(n, 60.0),
    )  # fmt: skip


def verdicts():
    """One thing after another that speaks against a run, each just beyond and just within its limit."""
    calls = [
        FirstCall(NAMES[0], "authentication", 401, message="no", ended=True),
        FirstCall(
            NAMES[1], "rate_limited", 429, calls=2, refused=("temperature",), quirks=Quirks()
        ),
    ]
    for title, changes in (
        ("calm", {}), ("some lag", {"lag_s": np.full(400, 0.011)}), ("lag within", {"lag_s": np.full(400, 0.01)}),
        ("busy", {"cpu": np.full(26, 0.95)}), ("busy for a second", {"cpu": np.where(np.arange(26) == 3, 0.95, 0.1)}),
        ("starved", {"waited": np.full(26, 0.5), "late_s": np.full(26, 0.02)}),
        ("stopped", {"pause_s": np.full(26, 0.3)}), ("stood", {"lag_max_s": np.full(26, 0.4)}),
    ):  # fmt: skip
        found = judge(summary(), PLAN, dataclasses.replace(calm(), **changes), records=records())
        yield from [f"== {title}", *properties(found), *(reason.line for reason in found.reasons)]
    for title, more in (
        ("first calls", {"first_calls": calls, "early": "it was refused"}),
        ("interrupted", {"state": "interrupted"}), ("failed", {"state": "failed", "trouble": "no space"}),
        ("running", {"state": "running"}), ("stopped early", {"state": "stopped", "early": "max_cost"}),
    ):  # fmt: skip
        found = judge(summary(), PLAN, calm(), **more)
        yield from [f"== {title}", *properties(found), *(reason.line for reason in found.reasons)]
    fast = replace(PLAN, load=Open(constant(20)))
    slow = judge(summarize(records(), fast), fast, calm())
    yield from [
        "== too few were sent",
        *properties(slow),
        *(reason.line for reason in slow.reasons),
    ]


def own(days, k=1):
    tokens = {"input": 900 * k, "cached": 100, "written": 20, "output": 500}
    usd = {"input": 0.9 * k, "cached": 0.05, "written": 0.03, "output": 1.0}
    counts = {"calls": 10, "answers": 1, "broken": 2, "free": 1, "again": 1, "over_midnight": k}
    return {
        (f"2026-11-{day:02}", name): Own(Counter(tokens), sum(usd.values()), dict(usd), Counter(counts), 9, 1)
        for day in days for name in ("openai/gpt-4.1", "openai/o4-mini-2025-04-16")
    }  # fmt: skip


def reconciled():
    def bill(change, days, *, money=None, classes=CLASSES, currency="USD", requests=None):
        cells = {}
        for day in days:
            for model in ("gpt-4.1-2025-04-14", "o4-mini"):
                tokens = {"input": 900, "cached": 100, "written": 20, "output": 500}
                tokens.update(change if day % 2 else {})
                cells[f"2026-11-{day:02}", model] = Sums(
                    {name: n for name, n in tokens.items() if name in classes}, money, requests
                )
        return ProviderBill("b.csv", "a form", cells, classes, currency, ("a note",))

    several = bill({}, range(1, 4), money=1.98)
    several.cells["2026-11-02", "other"] = Sums({"input": 70}, 0.25, 3)
    for title, ours, charged in (
        ("agrees", own(range(1, 4)), several),
        ("more", own(range(1, 4)), bill({"output": 640}, range(1, 4), money=2.4, requests=12)),
        ("fewer", own(range(1, 4)), bill({"output": 400, "cached": 0}, range(1, 4), requests=7)),
        ("another class", own(range(1, 4)), bill({"input": 1000, "cached": 0}, range(1, 4))),
        ("another price", own(range(1, 4)), bill({}, range(1, 4), money=3.0)),
        ("other days", own(range(2, 6)), bill({}, range(1, 4), money=1.98, currency="EUR")),
        ("two classes", own((1,)), bill({"input": 1200}, (1, 2), classes=("input", "output"), currency="")),
        ("many days", own(range(1, 29)), bill({"output": 501}, range(1, 29), requests=10)),
        ("none of ours", {}, several), ("none of those days", own((9,)), several),
    ):  # fmt: skip
        found = Reconciliation(charged, differences(ours, charged), 0.01, "two runs", ("its note",))
        yield from (
            shown(title, found) if len(charged.cells) < 9 else squeezed(found.table.text())[-9:]
        )
    yield from shown("since", Reconciliation(
        several, differences(own(range(1, 4)), several, since="2026-11-02", until="2026-11-02"), 0.5,
    ))  # fmt: skip
    made = own_bill(records(), lambda s: np.array([f"2026-02-{25 + int(x % 20 > 9)}" for x in s]))
    yield from shown("our own", {f"{day} {name}": each for (day, name), each in made.items()})


def probes():
    price = Price(input=2.0, output=8.0, cached_input=0.5, cache_write=2.5)
    never = tuple(PrefixReading(p, p, p + 0.1, 2000, 0) for p in (1, 60))
    always = tuple(PrefixReading(p, p, p + 0.1, 2000, 1500) for p in (1, 60, 7200))
    mute = tuple(PrefixReading(p, p, p + 0.1, 2000, -1) for p in (1, 60))
    for title, readings in (("never", never), ("always", always), ("mute", mute)):
        yield from shown(title, CacheLife("p/m", price, readings, 500, 2000, "began", "folder"))


CASES = (several_loads, verdicts, reconciled, probes, gated, numbers, summaries, failed, judged, parts, comparisons, models, sheets, spent, places, changed,
         conversations, machines, one_target)  # fmt: skip


def text_of(case) -> str:
    return "\n".join(line.rstrip() for each in case() for line in str(each).splitlines()) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_is_shown_and_held_is_what_was_kept(case):
    assert (KEPT / f"{case.__name__}.txt").read_text("utf-8") == text_of(case)


if __name__ == "__main__":
    KEPT.mkdir(exist_ok=True)
    for each in CASES:
        (KEPT / f"{each.__name__}.txt").write_text(text_of(each), "utf-8")
    sys.exit()
