"""What `calibrate` prints is reported minus true, and the truth is what the simulator did."""

import json
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

import holymon as hm
from holymon.cli.main import main
from holymon.experiments.calibration import Calibration, MeasuredRate, errors_of
from holymon.experiments.calibrator import calibrate, truth_of
from holymon.formatting import rounded
from holymon.plan.plan import Open, Plan, Prompts
from holymon.plan.shapes import constant
from holymon.plots import result_plots
from holymon.records.attempt import Flag, Marks
from holymon.records.records import from_marks


def level(rate, measurement="valid", off=0.0005):
    errors = {name: {"p50": off, "p99": 2 * off} for name in ("ttft_s", "latency_s", "itl_s")}
    return MeasuredRate(rate, 100, errors, 0.0002, rate, measurement, ())


def test_errors_are_reported_minus_true_percentiles(simulator):
    plan = Plan(targets=(simulator.target("pinned"),), load=Open(constant(10)), requests=120)
    rng, marks, truth = np.random.default_rng(3), [], []
    for k in range(120):
        real = 0.1 + 0.01 * np.arange(20) + rng.uniform(0, 0.003)
        one = Marks(k, 0, k / 10)
        one.start = one.due
        for at in real:
            one.token(one.start + at + 0.0007, 1)
        one.end = one.last + 0.0002
        warm = k < 10
        one.flags = int(Flag.WARMUP) if warm else 0
        marks.append(one)
        truth.append({"n": k, "fault": "ok", "token_s": list(real + 5 * warm)})
    truth.append({"n": 120, "fault": "rate_limited"})
    found = errors_of(from_marks(plan.targets, marks), truth)
    assert found["ttft_s"]["p50"] == pytest.approx(0.0007, abs=1e-6)
    assert found["ttft_s"]["p99"] == pytest.approx(0.0007, abs=1e-6)
    assert found["latency_s"]["p50"] == pytest.approx(0.0009, abs=1e-6)
    assert found["itl_s"]["p50"] == pytest.approx(0, abs=0.00005)
    few = errors_of(from_marks(plan.targets, marks[:40]), truth)
    assert few["ttft_s"]["p99"] is None


def test_the_highest_valid_rate_has_only_valid_ones_below_it():
    def highest(*words):
        rates = tuple(level(100 * 2**i, word) for i, word in enumerate(words))
        return Calibration((), rates).highest_valid_rate

    assert highest("valid", "valid", "suspect") == 200
    assert highest("valid", "suspect", "valid") == 100
    assert highest("invalid") is None
    assert highest() is None


def test_the_pinned_model_keeps_to_its_word_and_logs_it(tmp_path):
    plan = Plan(targets=(hm.target("sim/pinned"),), load=Open(constant(20)), requests=40,
                prompts=Prompts(max_tokens=64))  # fmt: skip
    run = hm.measure(plan, out=tmp_path)
    truth = truth_of(run)
    assert len(truth) == 40
    planned = 0.1 + 0.01 * np.arange(64) - 0.002  # a timer counts whole milliseconds
    for one in truth:
        assert len(one["token_s"]) == 64
        assert (np.array(one["token_s"]) >= planned).all()
    rows = run.records.rows
    assert (rows["output_tokens"] == 64).all()
    assert (rows["first_s"] - rows["start_s"] >= 0.098).all()
    off = errors_of(run.records, truth)
    assert off["ttft_s"]["p50"] > 0  # nothing is seen before it happened
    assert off["latency_s"]["p50"] > 0


def test_a_calibration_measures_prints_and_draws(tmp_path):
    seen = []
    found = calibrate(rates=(100,), ladder=(200, 400), seconds=1.1, out=tmp_path, seen=seen.append)
    assert seen[:2] == ["100 calls/s of 64 tokens", "200 calls/s of 4 tokens"]
    assert found.accuracy[0].calls == 110
    assert all(cell is not None for cell in found.accuracy[0].errors["ttft_s"].values())
    said = str(found)
    assert "reported minus true" in said
    off = found.accuracy[0].errors["ttft_s"]["p50"] * 1e3
    assert (f"{off:.2f}" if off < 10 else rounded(off)) in said
    stalled = replace(found.accuracy[0], errors={}, schedule_delay_p99_s=4.41181)
    cells = str(Calibration((), (stalled,))).split()
    assert "4,412" in cells
    assert "4411.81" not in cells
    ax = result_plots.plot_calibration(found)
    assert {"TTFT", "latency", "gaps"} <= {
        text.get_text().split()[0] for text in ax.get_legend().get_texts()
    }
    assert len(hm.runs(tmp_path)) == 1 + len(found.rates)


def test_the_command_writes_its_figures_and_a_chart(tmp_path, monkeypatch):
    # Which rates are measured by themselves is shown by the notebook.
    few = partial(calibrate, rates=(20,), ladder=(100,))
    monkeypatch.setattr("holymon.experiments.calibrator.calibrate", few)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["calibrate", "--seconds", "0.3", "--json"])
    said = json.loads(done.stdout)
    assert done.exit_code == (0 if said["highest_valid_rate"] is not None else 3), done.stderr
    assert [one["rate"] for one in said["accuracy"]] == [20]
    kept = json.loads((tmp_path / "reports/calibration/calibration.json").read_text())
    assert kept == said
    assert (tmp_path / "reports/calibration/calibration.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_a_duration_that_can_not_be_is_one_sentence(holymon, seconds):
    done = holymon("calibrate", "--seconds", seconds)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4


def test_the_notebook_measures_shows_and_draws(tmp_path):
    made = hm.write_report(
        "calibrate", out=tmp_path, parameters={"seconds": 0.3, "out": str(tmp_path)}
    )
    assert (made.status, made.error) == ("ok", "")
    page = made.html.read_text()
    assert "reported minus true" in page
    rates = re.findall("<tr><td[^>]*>([0-9]+)</td>", page)
    assert rates[:4] == ["20", "50", "100", "100"], "three by default, and then the ladder"
    assert page.count('<svg class="picture"') == 1
