"""What is kept of figures over many runs, days, places and machines, and of the numbers behind them."""

import dataclasses
import inspect
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from holymon import figures
from holymon.figures import (
    alike,
    all_calls,
    effective,
    error_budget,
    gate,
    level_model,
    log_counts,
    move_figures,
    quantiles,
    size_fit,
    steady,
)
from holymon.figures.bill_difference import differences
from holymon.figures.changes import beside, courses, line, since, steps
from holymon.figures.machines import losses, notes_on
from holymon.figures.own_bill import Own, own_bill
from holymon.figures.places import PlaceRuns
from holymon.figures.places import beside as place_beside
from holymon.figures.probes import CacheLife, PrefixReading
from holymon.figures.ratios import HeldAgainst, as_json, ratio_of_blocks, ratio_of_runs
from holymon.figures.reconciliation import Reconciliation
from holymon.figures.spending import RunSpending, TargetSpending, spending_of
from holymon.plan.price import Price
from holymon.records.bill import CLASSES, ProviderBill, Sums
from holymon.records.shares import MachineShare
from tests.figures.in_lines import plain, shown, squeezed
from tests.figures.messy_run import (
    CLOSED,
    PLAN,
    chance,
    records,
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
    yield from shown("of one call each", over_runs("ttft_p95", [], 8, n=4, requests=1.0))
    yield from shown("of none", over_runs("ttft_p95", [], 8, n=4, requests=0.0))
    last = lines[0]
    for title, found in (
        ("in two days", since(lines, last.ids[-1], last.runs.at[-1] - 172_800)),
        ("in all", since(lines[:2], last.ids[-1], 0.0)),
        ("beside the tenth", beside(lines[:4], last.ids[-1], last.ids[10])),
        ("beside the last", beside(lines[:1], last.ids[-1], last.ids[58])),
        ("of no run", since(lines[:1], "other", 0.0)),
    ):  # fmt: skip
        yield from shown(title, found)
        yield from shown("each", (*found.changes, *found.least))


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
    for title, ends in (("none", []), ("one", [np.inf]), ("many", [np.inf] * 20)):
        ordered, cut = np.sort(np.concatenate([u, ends])), np.array([0.2, 0.9])[: len(ends)]
        yield from shown(f"{title} for ever", all_calls.of_all(ordered, cut))
        yield from shown("uncut", all_calls.of_all(ordered, cut[:0], {"p50": 100, "p95": 60}))
        good = quantiles.figure(u)
        yield from shown(
            "with failures", all_calls.with_failures(good, np.sort(u), len(ends), cut, 0.5)
        )
    for hits in ([0, 1, 0], [1, 1, 0, 2, 0, 9, 0, 0], [0, 0]):
        sums = [SimpleNamespace(calls=40, failed=k, priced=30, cost=0.5 + k, squares=1.0 + k, latency="94:30",
                                ttft="", slo={"a": (40, k)}) for k in hits]  # fmt: skip
        yield from shown(f"a side of {hits}", move_figures.side_figures(sums))
        cost = move_figures.call_cost(sums, of_successes=True)
        yield from shown("its cost", [cost, cost and move_figures.saved_per_call(cost, cost)])
    block = np.arange(300) // 30
    for title, marks in (
        ("some", u < 0.2),
        ("alike", block % 2),
        ("even", np.arange(300) % 2 == 0),
        ("all", u < 2),
    ):
        worth = [
            steady.effective(1.0 * marks, np.ones(300), block, 10, beside=b)
            for b in (0.0, 0.5, 2.0)
        ]
        yield from shown(f"worth of {title}", worth)
    tails = [
        steady.tail(k, n, p)
        for k, n in ((-1, 5), (0, 5), (2, 5), (5, 5), (90, 1000))
        for p in (0.0, 0.1, 1.0)
    ]
    yield from shown(
        "tails", tails + [steady.smaller(df, error) for df in (1, 9, 99) for error in (0.025, 0.2)]
    )
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
    yield from shown("student", [quantiles.student(df) for df in (1, 2, 9, 100, 2000, 2001)])
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


def rates():
    """Ratios of percentiles, of runs and of blocks, as far apart as makes each result."""
    base = [chance(60, k) + 0.5 for k in range(20)]
    test, few = HeldAgainst(0.05, 0.95, claims=True), [(each[:3], each[:9]) for each in base]
    dead = [(each + np.inf, each + np.inf) for each in base]
    for some in (few, dead, []):
        yield from shown(
            "nothing", [of(some, "ttft_s", "p95", test) for of in (ratio_of_runs, ratio_of_blocks)]
        )
    for title, made in (
        ("same", lambda x, k: x * (1 + 0.01 * (k % 3 - 1))), ("higher", lambda x, k: x * (1.5 + 0.01 * (k % 3))),
        ("lower", lambda x, k: x / (1.5 + 0.01 * (k % 5))), ("drifting", lambda x, k: x * (0.7 + k / 20)),
        ("failing", lambda x, k: np.where(np.arange(60) % 3 == 0, np.inf, x)),
        ("all fail", lambda x, k: x + np.inf), ("unsure", lambda x, k: x * (1 + 0.4 * (k % 2))),
    ):  # fmt: skip
        pairs = [(x, made(np.roll(x, 7), k)) for k, x in enumerate(base)]
        for stat in ("p50", "p95"):
            for many, claims in ((20, True), (6, True), (2, False)):
                test = HeldAgainst(0.05, 0.95, claims=claims)
                of_runs = ratio_of_runs(pairs[:many], "latency_s", stat, test)
                of_blocks = ratio_of_blocks(pairs[:many], "ttft_s", stat, test)
                yield from shown(f"{title} {stat} {many}", [of_runs, of_blocks])
                yield from map(
                    str,
                    (
                        as_json(dataclasses.asdict(each))["interval"]
                        for each in (of_runs, of_blocks)
                    ),
                )


def settings():
    """The limits of all modules, and what their functions and results take for granted."""
    for file in sorted(Path(figures.__file__).parent.glob("[a-z]*.py")):
        module = import_module(f"holymon.figures.{file.stem}")
        own = getattr(module, "__annotations__", {})
        limits = {
            name: repr(each) for name, each in vars(module).items()
            if name in own and isinstance(each, int | float | str)
        }  # fmt: skip
        yield from plain(limits, file.stem)
        for name, each in vars(module).items():
            if getattr(each, "__module__", "") == module.__name__:
                granted = {key: repr(of) for key, of in _granted(each).items() if _is_plain(of)}
                yield from plain(granted, f"{file.stem}.{name}") if granted else ()


def _granted(of):
    if not inspect.isclass(of):
        parameters = inspect.signature(of).parameters if inspect.isfunction(of) else {}
        return {name: each.default for name, each in parameters.items()}
    fields = getattr(of, "__dataclass_fields__", {})
    return {
        **{name: each.default for name, each in fields.items()},
        **getattr(of, "_field_defaults", {}),
        **{f"default {k}": each for k, each in enumerate(getattr(of, "__struct_defaults__", ()))},
    }


def _is_plain(default):
    return default is None or isinstance(default, int | float | str | tuple)
