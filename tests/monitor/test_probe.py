"""Probes of a bill, against a server whose log is the truth: what was cached, and how much came."""

import json
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

import holymon as hm
from holymon.cli.main import main
from holymon.figures.probes import CacheLife, PrefixReading
from holymon.monitor.probe import cost_at_most, probe_cache, probe_cancelled

LIFE_S = 1.0
PRICE = hm.Price(input=1.0, output=4.0, cached_input=0.1, cache_write=1.25)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server whose prompt cache forgets after a second, and what it has logged."""
    log = tmp_path_factory.mktemp("sim") / "log"
    process = subprocess.Popen(
        [sys.executable, "-m", "holymon.sim", "--port", "0", "--until-eof", "--log", log,
         "--cache-life", str(LIFE_S)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    base_url = json.loads(process.stdout.readline())["base_url"]

    def target(model: str, price: hm.Price = PRICE, **more) -> hm.Target:
        return hm.Target(provider="mine", model=model, base_url=base_url, price=price, **more)

    def logged(model: str) -> list[dict]:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        return [line for line in lines if line["model"] == model]

    yield target, logged
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


def test_a_cache_lives_between_the_last_hit_and_the_first_miss(server, tmp_path):
    target, logged = server
    lines: list[str] = []
    life = probe_cache(target("cached"), max_cost=1, pauses_s=(1.1, 0.0), prompt_tokens=64,
                       out=tmp_path, tell=lines.append)  # fmt: skip
    low, high = life.limits
    assert low < LIFE_S < high
    calls = logged("cached")
    assert [line["cached_tokens"] for line in calls[4:]] == [r.cached for r in life.readings]
    assert [r.cached for r in life.readings] == [64, 64, 0, 0]
    assert [line["cached_tokens"] for line in calls[:4]] == [0] * 4  # no prefix is another's
    assert life.share == 128 / sum(line["prompt_tokens"] for line in calls[4:6])
    assert life.saved == pytest.approx(0.9 * life.share)
    assert life.sentence.startswith("The cache lives between ")
    assert "8 calls of mine/cached, at most 0.0" in lines[0]
    kept = json.loads((tmp_path / life.folder / "probe.json").read_text())
    assert kept["life_s"] == {"low": low, "high": high}


def test_stopped_streams_are_told_apart_in_a_bill(server, tmp_path):
    target, logged = server
    stopped = probe_cancelled(target("slow"), max_cost=1, streams=2, after=3, out=tmp_path)
    whole, *cut = logged("slow")
    assert [line["client_gone"] for line in (whole, *cut)] == [False, True, True]
    assert stopped.whole == (whole["prompt_tokens"], whole["tokens_sent"])
    # The opening event bears no token; with the third event others may have come.
    came = sum(stopped.came)
    assert [2 <= tokens < whole["tokens_sent"] for tokens in stopped.came] == [True, True]
    assert all(2 <= line["tokens_sent"] < line["max_tokens"] for line in cut)
    assert stopped.ids == ("sim-1", "sim-2")
    ways = {what: stopped.cost(*tokens) for what, *tokens in stopped.ways}
    assert ways["what came"] == pytest.approx((2 * whole["prompt_tokens"] + 4 * came) / 1e6)
    # A provider that bills what came is found out by its export.
    export = tmp_path / "export.json"
    export.write_text(json.dumps([
        {"date": stopped.began[:10], "model": "slow", "prompt_tokens": 3 * whole["prompt_tokens"],
         "completion_tokens": whole["tokens_sent"] + came}]))  # fmt: skip
    found = hm.reconcile(export, out=tmp_path, runs=stopped.folder)
    rows = {row.kind: row for row in found.differences.rows}
    assert (rows["input"].difference, rows["output"].difference) == (
        2 * whole["prompt_tokens"],
        came,
    )
    assert rows["output"].why == ("2 calls broken off without a count",)
    assert found.differences.explained == 2 * whole["prompt_tokens"] + came


def test_a_model_that_names_its_limit_otherwise_is_asked_so(server, tmp_path):
    target, logged = server
    stopped = probe_cancelled(target("strict"), max_cost=1, streams=1, after=2, out=tmp_path)
    assert stopped.whole is not None
    assert len(logged("strict")) == 2


def test_nothing_is_sent_that_may_cost_more_than_the_limit(server, tmp_path):
    target, logged = server
    most = cost_at_most(target("fast"), 4, 60, 200)
    assert (4 * 60 * 1.25 + 4 * 200 * 4) / 1e6 < most < 0.01
    for asked, price in ((0.001, PRICE), (1.0, hm.Price()), (float("nan"), PRICE)):
        with pytest.raises(hm.PlanError, match=r"over the limit|no price in USD|max_cost"):
            probe_cancelled(target("fast", price), max_cost=asked, out=tmp_path)
    for wrong in ({"streams": 21}, {"after": 200}, {"max_tokens": 10**6}):
        with pytest.raises(hm.PlanError):
            probe_cancelled(target("fast"), max_cost=9, out=tmp_path, **wrong)
    with pytest.raises(hm.PlanError, match="pause"):
        probe_cache(target("fast"), max_cost=9, pauses_s=[1e6], out=tmp_path)
    assert logged("fast") == []
    assert list(tmp_path.iterdir()) == []


def readings(*seen: tuple[float, int]) -> CacheLife:
    each = tuple(PrefixReading(pause, pause, pause + 0.1, 100, cached) for pause, cached in seen)
    return CacheLife("p/m", PRICE, each, written=100, prompt=100)


def test_what_a_cache_does_not_show_is_said():
    assert readings((1, -1), (2, -1)).sentence.startswith("Not shown")
    assert (readings((1, 0)).exit_code, readings((1, 0)).sentence[:13]) == (3, "No cache seen")
    assert readings((1, 50), (300, 50)).sentence == (
        "The cache lives longer than 5 min, the longest pause."
    )
    odd = readings((1, 0), (2, 50), (3, 0))
    assert odd.limits == (2, 3.1)
    assert "may reach machines that do not share a cache" in odd.table.text()
    assert odd.premium == pytest.approx(0.25)


def test_the_command_needs_a_limit_and_one_target(tmp_path):
    def said(*words: str):
        return CliRunner().invoke(main, ["probe", *words, "--out", str(tmp_path)])

    assert (said("cache", "sim/cached").exit_code, said("burn", "sim/fast").exit_code) == (2, 2)
    assert said("cache", "--max-cost", "1").exit_code == 2
    done = said("cancelled", "sim/fast", "--max-cost", "0.000001")
    assert (done.exit_code, "over the limit" in done.stderr) == (2, True)
    gone = said("cache", "--base-url", "http://127.0.0.1:9/v1", "--model", "gpt-4.1",
                "--max-cost", "1")  # fmt: skip
    assert (gone.exit_code, "no price in USD is known" in gone.stderr) == (2, True)


def test_a_server_that_is_gone_is_no_bad_usage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets.toml").write_text(
        '[gone]\nbase_url = "http://127.0.0.1:9/v1"\nauth = "none"\n'
        "[gone.models.m]\ninput = 1.0\noutput = 1.0\n"
    )
    done = CliRunner().invoke(main, ["probe", "cache", "gone/m", "--max-cost", "1"])
    assert (done.exit_code, "the probe could not finish" in done.stderr) == (4, True)


@pytest.mark.parametrize("kind", ["cancelled", "cache"])
def test_an_end_from_outside_is_told(kind, monkeypatch):
    """As systemd and `timeout` end it: SIGTERM, whose usual way is to end it without a word."""

    def ended(*_, **__):
        signal.getsignal(signal.SIGTERM)(signal.SIGTERM, None)

    monkeypatch.setattr(f"holymon.monitor.probe.probe_{kind}", ended)
    done = CliRunner().invoke(main, ["probe", kind, "sim/fast", "--max-cost", "1"])
    assert (done.exit_code, done.stderr) == (130, "holymon: interrupted.\n")
