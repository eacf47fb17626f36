"""A load on an API that allows so much a minute: what remained is seen wherever figures are."""

import asyncio
import json

import pytest

import holymon as hm
from holymon.load import run
from holymon.plan.plan import Open, Plan, Prompts, Target
from holymon.plan.shapes import constant
from holymon.prometheus.exporter import Collector
from holymon.report import sections
from holymon.widgets import panels_html
from tests.promises.faults.server import Server, answer

ALLOWED, CALLS = 60, 80


@pytest.fixture(scope="module")
def limited(shared_simulator, tmp_path_factory):
    plan = Plan(targets=(shared_simulator.target("limited"),), load=Open(constant(160)),
                requests=CALLS, prompts=Prompts(max_tokens=4), first_call=False, seed=1)  # fmt: skip
    return run.measure(plan, out=tmp_path_factory.mktemp("limited"))


def test_what_remained_and_what_was_refused_are_figures(limited):
    (target,) = limited.summary().targets
    requests = target.limits["requests"]
    refused = target.errors["rate_limited"]
    assert ALLOWED <= target.ok < ALLOWED + 10, "as many as a bucket holds, and what ran in"
    assert (requests.limit, requests.remaining_min, requests.hits) == (ALLOWED, 0.0, refused)
    assert requests.reset_s == pytest.approx(ALLOWED, abs=3)
    assert target.limits["tokens"].remaining_min > 2000
    shown = json.loads(json.dumps(limited.to_dict()["targets"][0]["limits"]))
    assert set(shown["requests"]) == {"limit", "remaining", "remaining_min", "reset_s", "hits"}


def test_they_stand_in_the_terminal_the_report_and_the_dashboard(limited):
    line = f"of {ALLOWED} requests left"
    assert line in sections.run_text(limited)
    assert line in sections.figures(limited).html
    assert line in panels_html.figures(limited.summary(), limited.verdict())
    assert "on requests per min (RPM)" in limited.summary().targets[0].messages["rate_limited"]


def test_they_are_gauges(limited):
    families = {family.name: family for family in Collector(limited).collect()}
    values = {sample.labels["limit"]: sample.value
              for sample in families["holymon_ratelimit_remaining"].samples}  # fmt: skip
    known = limited.summary().targets[0].limits
    assert values == {kind: about.remaining for kind, about in known.items()}
    (hits,) = [sample.value for sample in families["holymon_ratelimit_hits"].samples
               if sample.labels["limit"] == "requests"]  # fmt: skip
    assert hits == known["requests"].hits


def test_a_monitor_knows_the_limits_of_each_model():
    left = ("x-ratelimit-limit-tokens: 90", "x-ratelimit-remaining-tokens: 0")
    refusal = answer({"error": {"message": "slow down"}}, "429 Slow", "application/json", *left)

    async def go():
        async with Server([refusal]) as server:
            target = Target(provider="url", model="m", base_url=server.url)
            with hm.Monitor(target, policy=hm.Policy(attempts=1)) as monitor:
                with pytest.raises(hm.CallError, match="no tokens are left"):
                    await monitor.achat("hi")
                with pytest.raises(hm.CallError, match="no tokens are left"):
                    await monitor.achat("hi", model="other")
                return monitor.limits, monitor.stats()

    limits, stats = asyncio.run(go())
    assert {name: known["tokens"].hits for name, known in limits.items()} == {
        "url/m": 1,
        "url/other": 1,
    }
    assert stats.targets["url/m"].limits == limits["url/m"]
    assert "url/m: 0 of 90 tokens left, 1 refused for tokens" in stats.lines
