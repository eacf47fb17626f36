"""What is kept of a run: its summary under several loads, its verdicts, its parts, its comparisons."""

import dataclasses
import re
from contextlib import suppress

import numpy as np

from holymon.errors import CODES, PlanError
from holymon.figures.blocks import blocks
from holymon.figures.calls import slowest
from holymon.figures.comparison import compare_pairs
from holymon.figures.disturbance import disturbance
from holymon.figures.durations import durations, if_many_failed, watched
from holymon.figures.hints import failures, why
from holymon.figures.reasons import Reason
from holymon.figures.request_stats import request_stats
from holymon.figures.sizes import sizes_of
from holymon.figures.slo_events import slo_events
from holymon.figures.standing import of_failures, of_percentile
from holymon.figures.summary import summarize, summarize_target
from holymon.figures.tool_definitions import definitions
from holymon.figures.totals import Edges, totals
from holymon.figures.turns import turns_of
from holymon.figures.verdict import check_objective, judge
from holymon.plan import slo
from holymon.plan.plan import Open, Plan
from holymon.plan.price import Price
from holymon.plan.quirks import Quirks
from holymon.plan.shapes import constant
from holymon.plan.shapes import ramp as ramped
from holymon.plan.target import Target
from holymon.records.attempt import GAP, Flag, blank
from holymon.records.client_health import ClientHealth
from holymon.records.first_call import FirstCall
from holymon.records.records import Records
from holymon.structs import replace
from tests.figures.in_lines import differing, properties, shown, squeezed
from tests.figures.messy_run import (
    CLOSED,
    NAMES,
    PLAN,
    SLO,
    TARGETS,
    chance,
    compared,
    messy,
    pairs,
    records,
    summary,
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


def several_loads():
    """What another load, veiled reasoning, vectors and long slow answers make of the same calls."""
    ramp = replace(PLAN, load=Open(ramped(5.0, 15.0, 26.0)))
    yield from differing("a load that rises", summarize(records(), ramp), summary())
    made = messy(260)
    rows = made.rows
    rows["end_s"] += np.where(rows["error"] == 0, rows["due_s"] * 0.2, 0.0)
    yield from differing("and waits that rise", summarize(made, ramp), summary())
    yield from differing("which was not planned", summarize(made, PLAN), summarize(made, ramp))
    for title, longer in (
        ("long", 15.0 + 9 * chance(780, 4)),
        ("longer each", np.arange(780) / 15.0),
    ):
        made = messy(260)
        for name in ("end_s", "last_s"):
            made.rows[name] += longer
        yield from differing(f"answers that take {title}", summarize(made, PLAN), summary())
        yield from differing(f"{title}, of users", summarize(made, CLOSED), summarize(made, PLAN))
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
    for title, second, wait in (
        ("touched", 7, 9.0),
        ("hardly touched", 7, 0.0),
        ("for long", slice(3, 9), 0.4),
    ):
        made, busy = messy(), np.full(120, 0.1)
        busy[second] = 0.95
        vitals = dataclasses.replace(calm(120), cpu=busy)
        low, high = (second, second + 1) if isinstance(second, int) else (second.start, second.stop)
        made.rows["end_s"] += wait * ((made["start_s"] > low - 1) & (made["start_s"] < high))
        touched = disturbance(vitals, made)
        yield from [*shown(title, touched), *shown("alone", disturbance(vitals))]
        found = judge(summarize(made, PLAN), PLAN, vitals, records=made)
        yield from [*properties(found), *(reason.line for reason in found.reasons)]
    clean = records().select((records()["target"] == 1) & records().ok)
    one = replace(PLAN, targets=TARGETS[:2], slo=("latency_p95<9",))
    for title, vitals in (
        ("clean", calm()), ("of a loop", ClientHealth.of_loop([0.02] * 99)),
        ("of a quick loop", ClientHealth.of_loop([1e-4] * 99)), ("unknown", ClientHealth.of_loop([])),
        ("late once", dataclasses.replace(calm(), lag_s=np.full(400, 0.02), pause_s=np.full(26, 0.25))),
    ):  # fmt: skip
        found = judge(summarize(clean, one), one, vitals, records=clean)
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


def one_target():
    alone = records().select(records()["target"] == 2)
    whole = summarize_target(records(), 2)
    yield from differing("of all", whole, summarize_target(alone, 2))
    yield from differing("by its plan", summary().targets[2], whole)


def parts():
    yield from shown("requests", request_stats(records()))
    yield from shown("the first target", request_stats(records().select(records()["target"] == 0)))
    sums = totals(records())
    yield from shown("edges", sums.edges)
    for title, each in (("sums", sums), ("sums of twice as many", sums + sums)):
        yield from (re.sub(r"edges \[[^]]*\], ", "", line) for line in shown(title, each.targets))
    for other in (Edges(latency=(1.0,)), Edges()):
        with suppress(PlanError):
            yield from ["== others", str((sums + totals(records(), other)).targets.keys())]
    yield from shown("slowest", slowest(records(), 6))
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
    for late in (0.0, 0.05, 0.2):
        dense = messy()
        dense.rows["due_s"] = dense["due_s"] / 10 + late * (dense["target"] == 1)
        for scheduled in (True, False):
            cut = blocks(dense, 0, 1, scheduled=scheduled)
            yield f"blocks of targets {late} apart: {[(len(x), len(y)) for x, y in cut]}"
    dead = [tuple(side.select(~side.ok & side.judged) for side in pair) for pair in pairs(2)]
    dead = [pair for pair in dead if all(map(len, pair))]
    yield from shown("of failures alone", compare_pairs(dead, one_run=True))
    yield from shown("of too few", compare_pairs(pairs()[:2]))
    yield from shown("not in turns", compare_pairs(pairs()[:5], interleaved=False))
    yield from shown(
        "the other way round", compare_pairs([(b, a) for a, b in pairs(2)], one_run=True)
    )


def conversations():
    yield from shown("turns", turns_of(messy(120, turns=4)))
    yield from shown("none", turns_of(messy(3)))
