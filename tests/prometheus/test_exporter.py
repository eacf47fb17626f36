"""What is exported is what summaries and tallies say of the same records: values, not only names."""

import itertools
import math
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from holymon.errors import CallError, PlanError, RunError
from holymon.figures.summary import summarize
from holymon.figures.totals import Totals, totals
from holymon.load.run import measure as run_plan
from holymon.load.run import start
from holymon.monitor.monitor import Monitor
from holymon.monitor.retry import Policy
from holymon.plan.plan import Closed, Open, Plan, Prompts, Target
from holymon.plan.price import Price
from holymon.plan.shapes import constant
from holymon.prometheus import metric_names, rules
from holymon.prometheus.backtest_sources import rehearse
from holymon.prometheus.exporter import Collector, expose, write_textfile
from holymon.prometheus.metric_families import families
from holymon.prometheus.sources import OfFolder, OfRun, Scrape
from holymon.records.attempt import Flag, Marks
from holymon.records.records import Records, from_marks

TARGETS = (
    Target(provider="sim", model="a", price=Price(input=1.0, output=10.0)),
    Target(provider="sim", model="b"),
)
PLAN = Plan(targets=TARGETS, load=Closed(users=1), requests=1, slo=("ttft_p95<0.3",))
FAILURES = [("", 200)] * 6 + [("server_error", 500), ("rate_limited", 429), ("stream_truncated", 200),
            ("cancelled", 0), ("connection_refused", 0)]  # fmt: skip


def one_call(rng, request, target=0, at=0.0):
    one = Marks(request, target, at)
    one.error, one.status = FAILURES[rng.integers(len(FAILURES))]
    one.start, one.flags = at + 0.001, int(Flag.STREAM)
    clock = one.start + rng.lognormal(-1.5, 0.8)
    if not one.error:
        for _ in range(int(rng.integers(2, 40))):
            one.token(clock, 1)
            clock += rng.lognormal(-4, 0.5)
        one.prompt_tokens, one.output_tokens = 7, one.events
        one.flags |= Flag.SERVER_TOKENS
    one.end = clock
    return one


def records_of(n=1000, seed=0, plan=PLAN):
    rng = np.random.default_rng(seed)
    marks = [one_call(rng, i, i % len(plan.targets), at=i * 0.1) for i in range(n)]
    return from_marks(plan.targets, marks)


def answers_of(seconds):
    """A hundred calls of the first target that all take as long."""
    marks = []
    for i in range(100):
        one = Marks(i, 0, float(i))
        one.start, one.end, one.status = one.due, one.due + seconds, 200
        marks.append(one)
    return from_marks(PLAN.targets, marks)


def of(found, name, **labels):
    """The value of one sample with exactly these labels."""
    return found[name, frozenset(labels.items())]


def total(found, name, **labels):
    """The sum of all samples that have these labels."""
    wanted = set(labels.items())
    return sum(v for (n, had), v in found.items() if n == name and wanted <= had)


@pytest.fixture
def promtool(debian):
    def check(raw):
        done = subprocess.run([debian("promtool"), "check", "metrics"], input=raw,
                              capture_output=True, check=False)  # fmt: skip
        return done.returncode, (done.stdout + done.stderr).decode()

    return check


def test_the_seed_names_have_the_seed_labels_and_the_seed_buckets(samples):
    found = samples(generate_latest(Collector(records_of())))
    labels = {name: {frozenset(dict(had)) for n, had in found if n == name} for name, _ in found}
    assert labels["api_requests_total"] == {frozenset({"provider", "model", "status"})}
    assert labels["api_errors_total"] == {frozenset({"provider", "model", "error_type"})}
    assert labels["api_request_latency_seconds_bucket"] == {frozenset({"provider", "model", "le"})}
    coarse = samples(generate_latest(Collector(records_of(), dense=False)))
    dense, edges = (
        {dict(had)["le"] for n, had in of if n == "api_request_latency_seconds_bucket"}
        for of in (found, coarse)
    )
    assert dense > edges
    assert edges == {
        "0.1",
        "0.25",
        "0.5",
        "1.0",
        "2.5",
        "5.0",
        "10.0",
        "30.0",
        "60.0",
        "120.0",
        "300.0",
        "+Inf",
    }


def test_values_are_those_of_the_summary(samples):
    records = records_of()
    found = samples(generate_latest(Collector(records)))
    for one in summarize(records).targets:
        whose = dict(zip(("provider", "model"), one.target.split("/"), strict=True))
        requests = total(found, metric_names.REQUESTS, **whose)
        failed = total(found, metric_names.ERRORS, **whose)
        assert failed / requests == pytest.approx(one.error_rate.value)
        assert requests == one.error_rate.of
        assert requests + of(found, metric_names.STOPPED, **whose) == one.requests
        errors = {name: n for name, n in one.errors.items() if name != "cancelled"}
        assert {
            e: total(found, metric_names.ERRORS, error_type=e, **whose) for e in errors
        } == errors
        assert of(found, f"{metric_names.LATENCY}_count", **whose) == one.ok == one.latency_s.n
        assert of(found, f"{metric_names.LATENCY}_sum", **whose) / one.ok == pytest.approx(
            one.latency_s.mean
        )
        for name, figure, rel in (
            (metric_names.TTFT, one.ttft_s, 1e-9),
            (metric_names.CHUNK, one.itl_s, 0.01),
        ):
            count = total(found, f"{name}_count", **whose)
            assert count == figure.n
            assert total(found, f"{name}_sum", **whose) / count == pytest.approx(
                figure.mean, rel=rel
            )
        for kind, n in (("input", one.tokens.prompt), ("output", one.tokens.output)):
            assert total(found, f"{metric_names.TOKENS}_sum", gen_ai_token_type=kind, **whose) == n
    costs = [one.cost.at_least_usd for one in summarize(records).targets]
    assert of(
        found, "holymon_cost_total", provider="sim", model="a", currency="USD"
    ) == pytest.approx(costs[0])


def test_values_are_those_of_the_tally_bucket_by_bucket(samples):
    records = records_of()
    found = samples(generate_latest(Collector(records)))
    for one in totals(records, metric_names.bucket_edges()).targets.values():
        whose = {"provider": one.provider, "model": one.model}
        for name, histogram in (
            (metric_names.LATENCY, one.latency),
            (metric_names.TTFT, one.ttft),
            (metric_names.CHUNK, one.chunk),
        ):
            upto = list(itertools.accumulate(histogram.counts))
            for edge, n in zip((*histogram.edges, math.inf), upto, strict=True):
                le = "+Inf" if edge == math.inf else repr(edge)
                assert total(found, f"{name}_bucket", le=le, **whose) == n
        assert total(found, metric_names.RETRIES, **whose) == one.retries
        assert total(found, metric_names.ATTEMPTS, **whose) == sum(one.attempts.values())
        assert of(found, "holymon_unpriced_attempts_total", **whose) == one.unpriced


def test_durations_are_told_by_error_type(samples):
    one = Marks(0, 0, 0.0)
    one.start, one.end, one.error, one.status = 1.0, 3.0, "server_error", 500
    found = samples(generate_latest(Collector(from_marks(PLAN.targets, [one]))))
    assert total(found, f"{metric_names.DURATION}_sum", error_type="server_error") == pytest.approx(
        3.0
    )
    assert total(found, f"{metric_names.LATENCY}_count") == 0, "failures are in no latency"


def test_watched_errors_are_0_before_they_are_met(samples):
    found = samples(generate_latest(Collector(Records(PLAN.targets))))
    for error in metric_names.WATCHED:
        for name in (metric_names.ERRORS, metric_names.ATTEMPTS):
            assert of(found, name, provider="sim", model="a", error_type=error) == 0


def test_limits_of_objectives_are_bucket_edges(samples):
    found = samples(
        generate_latest(Collector(records_of(), slo=("ttft_p95<0.7", "latency_p99<3s")))
    )
    assert total(found, f"{metric_names.TTFT}_bucket", le="0.7") > 0
    assert total(found, f"{metric_names.LATENCY}_bucket", le="3.0") > 0


@pytest.mark.parametrize("limit", [0.001, 0.05, 0.5, 1.0, 2.5, 30, 1234.5, 99999.0])
def test_the_rules_spell_a_limit_as_the_exporter_does(limit):
    objective = f"ttft_p95<{limit}"
    raw = generate_latest(Collector(records_of(10), slo=(objective,))).decode()
    file = rules.rule_file(rules.Watch((objective,)))
    spelled = repr(float(limit))
    assert f'le="{spelled}"' in raw
    assert any(f'le="{spelled}"' in rule["expr"] for rule in file["groups"][0]["rules"])


HOSTILE = ('a"b', "new\nline", "back\\slash", "\u2028\u202e", "\x1b[31m", "\ud800", "x" * 5000, "é" * 300,
           "{a=1}", "", " ", "<script>", "\x00")  # fmt: skip


def hostile(n):
    """A tally of many targets, as an application makes them whose users name the model."""
    edges = metric_names.bucket_edges(dense=False)
    one = next(iter(totals(records_of(20), edges).targets.values()))
    names = [*HOSTILE, *(f"model-{i}" for i in range(n - len(HOSTILE)))]
    return Totals(
        edges, {f"p/{name}": replace(one, provider="p", model=name) for name in names}
    ), one


def test_ten_thousand_hostile_names_make_few_labels_and_lose_no_count(promtool, samples):
    many, one = hostile(10_000)
    registry = CollectorRegistry(auto_describe=False)

    class Given:
        def collect(self):
            return families(Scrape(many))

    registry.register(Given())
    raw = generate_latest(registry)
    found = samples(raw)
    assert (
        len({dict(had)["model"] for n, had in found if n == f"{metric_names.LATENCY}_count"}) <= 51
    )
    assert total(found, f"{metric_names.LATENCY}_count") == 10_000 * one.latency.count
    assert total(found, metric_names.REQUESTS) == 10_000 * sum(
        n for (_, error), n in one.requests.items() if error != "cancelled"
    )
    assert total(found, "holymon_cost_total") == pytest.approx(10_000 * one.cost)
    assert max(len(value) for _, had in found for value in dict(had).values()) <= 100
    assert "\x1b" not in raw.decode()
    code, said = promtool(raw)
    assert (code, said) == (0, "")


def plan_on(simulator, model="flaky", seconds=1, **more):
    return Plan(targets=(simulator.target(model, stall_s=1.0),), load=Open(constant(40)), prompts=Prompts(max_tokens=8),
                duration_s=seconds, name="exported", **more)  # fmt: skip


@pytest.fixture(scope="module")
def exported(shared_simulator, tmp_path_factory):
    """A run that has ended."""
    plan = plan_on(shared_simulator, seconds=2, slo=("error_rate<1%", "ttft_p95<5s"))
    return run_plan(plan, out=tmp_path_factory.mktemp("exported"))


def test_promtool_has_nothing_to_say(promtool, exported):
    assert promtool(generate_latest(Collector(records_of()))) == (0, "")
    assert promtool(generate_latest(Collector(exported))) == (0, "")


def test_promtool_would_say_something(promtool):
    assert promtool(b"# TYPE bad-name counter\nbad-name 1\n")[0] != 0


def test_a_run_is_exported_with_the_figures_of_its_report(shared_simulator, exported, samples):
    run, found = exported, samples(generate_latest(Collector(exported)))
    (one,) = run.summary().targets
    whose = {"provider": "url", "model": "flaky"}
    assert of(found, "holymon_run_requests", **whose) == one.requests
    assert of(found, "holymon_run_ttft_seconds", stat="p50", **whose) == one.ttft_s.p50
    assert of(found, "holymon_run_latency_seconds", stat="p95", **whose) == one.latency_s.p95
    assert of(found, "holymon_run_error_ratio", **whose) == one.error_rate.value
    assert of(found, "holymon_run_objective_met", objective="error_rate<1%", **whose) == 0
    assert of(found, metric_names.VALID, **whose) == (run.verdict().measurement != "invalid")
    assert (
        of(found, metric_names.LAG, stat="max", **whose) == run.vitals.to_dict()["loop_lag_max_s"]
    )
    assert ("holymon_run_cost_usd", frozenset(whose.items())) not in found, "not known is not 0"
    assert ("holymon_run_latency_seconds", frozenset({**whose, "stat": "p99"}.items())) not in found
    counts = shared_simulator.counted()["flaky"]
    assert total(found, metric_names.REQUESTS) == counts["requests"], "as the API counted itself"
    assert (
        total(found, metric_names.ERRORS, error_type="rate_limited")
        == counts["faults"]["rate_limited"]
    )


def test_the_textfile_holds_the_figures_of_the_summary(exported, tmp_path, promtool, samples):
    run, path = exported, tmp_path / "holymon.prom"
    write_textfile(run, path)
    raw = path.read_bytes()
    found, (one,) = samples(raw), run.summary().targets
    whose = {"provider": "url", "model": "flaky"}
    for stat in ("mean", "p50", "p90", "max"):
        for name in ("latency", "ttft", "itl", "tpot"):
            expected = getattr(getattr(one, f"{name}_s"), stat)
            assert of(found, f"holymon_run_{name}_seconds", stat=stat, **whose) == expected
    assert {
        e: of(found, "holymon_run_errors", error_type=e, **whose) for e in one.errors
    } == one.errors
    assert of(found, "holymon_run_output_tokens", **whose) == one.tokens.output
    assert of(found, "holymon_run_requests_per_second", **whose) == one.requests_per_s
    assert promtool(raw) == (0, "")
    assert not [name for name, _ in found if name.endswith("_total")], (
        "another run's would be a rise"
    )
    assert path.stat().st_mode & 0o777 == 0o644, "node_exporter is another user"
    with pytest.raises(PlanError, match=r"\.prom"):
        write_textfile(run, tmp_path / "figures.txt")
    with pytest.raises(RunError, match="can't write"):
        write_textfile(run, tmp_path / "nowhere" / "x.prom")


def test_a_live_run_is_read_row_by_row_and_never_goes_back(simulator, tmp_path):
    run = start(plan_on(simulator), out=tmp_path, detached=False)
    reader, before, seen = OfRun(run.folder, metric_names.bucket_edges()), {}, 0
    while run.live:
        (one,) = reader.read().totals.targets.values()
        now = {**one.attempts, "sum": one.latency.sum, "count": one.latency.count}
        assert all(now[key] >= value for key, value in before.items())
        seen += now != before
        before = now
        time.sleep(0.02)
    run.wait()  # which compacts the run below the reader's feet
    found = reader.read().totals
    whole = totals(run.records, metric_names.bucket_edges())
    (one,), (other,) = found.targets.values(), whole.targets.values()
    assert seen > 3
    assert (one.attempts, one.requests, one.latency.counts) == (
        other.attempts,
        other.requests,
        other.latency.counts,
    )
    assert one.chunk.sum == pytest.approx(other.chunk.sum)


def test_rows_that_come_back_in_another_order_are_counted_once(exported):
    run, reader = exported, OfRun(exported.folder, metric_names.bucket_edges())
    first = reader.read().totals
    rows, again = run.records, Records(run.plan.targets)
    order = np.arange(len(rows))[::-1]
    again.extend(rows.rows[order], rows.gap_pairs[:0], np.zeros(len(rows), np.int64))
    reader.run._known = again
    assert reader.read().totals == first


def test_a_folder_is_followed_from_run_to_run(simulator, tmp_path):
    run_plan(plan_on(simulator, "fast"), out=tmp_path)  # ended before anybody read
    reader = OfFolder(tmp_path, metric_names.bucket_edges())
    assert reader.read().totals.targets == {}
    n = 0
    for model in ("fast", "flaky", "fast"):
        run = start(plan_on(simulator, model), out=tmp_path, detached=False)
        while run.live:
            reader.read()
            time.sleep(0.05)
        n += len(run.wait().records)
        found = reader.read()
        counted = sum(sum(one.attempts.values()) for one in found.totals.targets.values())
        assert counted == n
        shown, own = found.runs[f"url/{model}"].summary, run.summary().targets[0]
        assert (shown.requests, shown.ok, shown.errors) == (own.requests, own.ok, own.errors)
        # Between the two looks a run may have been compacted, which rounds to 60 ns.
        for mine, theirs in ((shown.latency_s, own.latency_s), (shown.ttft_s, own.ttft_s)):
            assert mine.p50 == pytest.approx(theirs.p50, abs=1e-6)
            assert mine.max == pytest.approx(theirs.max, abs=1e-6)
    assert reader._readers == {}, "what has ended is kept as sums only"


def test_a_real_prometheus_scrapes_and_its_quantiles_agree_within_a_bucket(prometheus):
    records = records_of(4000)
    target = summarize(records).targets[0]
    with expose(records, port=0, dense=False) as served, expose(records, port=0) as finer:
        jobs = {"holymon": served, "dense": finer}
        server = prometheus(yaml.safe_dump({"global": {"scrape_interval": "5s"}, "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [urlsplit(exposed.url).netloc]}]}
            for job, exposed in jobs.items()
        ]}))  # fmt: skip
        for job in jobs:
            server.until(f'up{{job="{job}"}} == 1')
            for name, figure in ((metric_names.TTFT, target.ttft_s), (metric_names.LATENCY, target.latency_s),
                                 (metric_names.CHUNK, target.itl_s)):  # fmt: skip
                edges = [0.0, *(getattr(metric_names.bucket_edges(dense=job == "dense"), {
                    metric_names.TTFT: "ttft", metric_names.LATENCY: "latency", metric_names.CHUNK: "chunk"}[name]))]  # fmt: skip
                for stat, q in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)):
                    theirs = server.value(
                        f'histogram_quantile({q}, {name}_bucket{{job="{job}", model="a"}})'
                    )
                    ours = getattr(figure, stat)
                    k = next(i for i, edge in enumerate(edges) if edge >= ours)
                    assert edges[k - 1] * 0.995 <= theirs <= edges[k] * 1.005, (
                        job,
                        name,
                        stat,
                        ours,
                    )
                    if job == "dense":
                        assert theirs == pytest.approx(ours, rel=0.19)
        assert (
            server.value(f'sum({metric_names.REQUESTS}{{job="holymon", model="a"}})')
            == target.error_rate.of
        )
        # A counter is known without its `_total` to whoever read OpenMetrics, which it prefers.
        about = httpx.get(
            f"{server.url}/api/v1/targets/metadata", params={"metric": "api_requests"}
        )
        assert {one["type"] for one in about.json()["data"]} == {"counter"}


def test_a_scrape_of_nothing_is_fine_too(promtool):
    assert promtool(generate_latest(Collector(from_marks(PLAN.targets, []))))[0] == 0


def test_a_monitor_is_exported_while_it_calls(simulator, promtool, samples):
    edges = metric_names.bucket_edges(("ttft_p95<0.5",))
    policy = Policy(wait_s=0.001)
    with Monitor(simulator.target("flaky", stall_s=0.2), policy=policy, edges=edges) as monitor:
        with expose(monitor, port=0, slo=("ttft_p95<0.5",)) as served:
            failed = 0
            for _ in range(60):
                try:
                    list(monitor.chat("hello", stream=True, max_tokens=4))
                except CallError:
                    failed += 1
            raw = generate_latest(Collector(monitor, slo=("ttft_p95<0.5",)))
            assert samples(httpx.get(served.url).content).keys() <= samples(raw).keys()
        found, attempts = samples(raw), monitor.records
        whose = {"provider": "url", "model": "flaky"}
        assert total(found, metric_names.REQUESTS, **whose) == 60
        assert total(found, metric_names.ERRORS, **whose) == failed
        assert total(found, metric_names.ATTEMPTS, **whose) == len(attempts) > 60
        assert of(found, metric_names.RETRIES, **whose) == len(attempts) - 60
        assert (
            total(found, metric_names.ATTEMPTS, **whose) == simulator.counted()["flaky"]["requests"]
        )
        assert total(found, f"{metric_names.DURATION}_count", **whose) == 60
        assert promtool(raw) == (0, "")
        assert rehearse(monitor).seconds > 0
        lag = {stat: of(found, metric_names.LAG, stat=stat, **whose) for stat in ("p99", "max")}
        assert 0 <= lag["p99"] <= lag["max"] < 60
        assert metric_names.VALID not in {name for name, _ in found}, "that is a run's"


def test_a_call_that_hangs_is_in_flight_until_it_ends(samples):
    with socket.create_server(("127.0.0.1", 0)) as silent, Monitor(
        Target(provider="p", model="m", base_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1"),
        policy=Policy(attempts=1),
    ) as monitor:  # fmt: skip
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(monitor.chat, "hello")
            connection, _ = silent.accept()
            assert connection.recv(1)
            collector = Collector(monitor, fresh_s=0)
            found = samples(generate_latest(collector))
            assert of(found, metric_names.IN_FLIGHT, provider="p", model="m") == 1
            assert of(found, f"{metric_names.LATENCY}_count", provider="p", model="m") == 0
            connection.close()
            assert isinstance(answer.exception(30), CallError)
        found = samples(generate_latest(collector))
        assert of(found, metric_names.IN_FLIGHT, provider="p", model="m") == 0


def test_quick_answers_have_a_quick_percentile():
    """Of calls of 20 ms the article's buckets, which begin at 0.1 s, made a p95 of 95 ms."""
    histogram = totals(answers_of(0.02), metric_names.bucket_edges()).targets["sim/a"].latency
    below = [edge for edge in histogram.edges if edge < 0.02]
    (bucket,) = [k for k, n in enumerate(histogram.counts) if n]
    assert histogram.edges[bucket] < below[-1] * 1.19


def test_a_monitor_counts_in_the_buckets_of_its_objectives_without_a_line(samples):
    """What is in memory is counted again; only what has left it can't be."""
    with Monitor("sim/fast") as monitor:
        raw = generate_latest(Collector(monitor, slo=("ttft_p95<0.7",)))
        assert 0.7 in monitor.tally().edges.ttft
        assert samples(raw) is not None
    edges = metric_names.bucket_edges()
    with Monitor("sim/fast", edges=edges) as monitor:
        monitor.ledger._folded = totals(from_marks(PLAN.targets, []), edges)
        with pytest.raises(PlanError, match=r"end at 0\.7: expose it before its first calls"):
            Collector(monitor, slo=("ttft_p95<0.7",))


def test_what_is_no_run_and_no_monitor_can_not_be_exported():
    with pytest.raises(PlanError, match="can't be exported"):
        Collector(object())


def test_an_application_serves_holymons_figures_from_its_own_registry(samples):
    registry = CollectorRegistry()
    registry.register(Collector(records_of(100)))
    assert total(samples(generate_latest(registry)), metric_names.REQUESTS) > 0
