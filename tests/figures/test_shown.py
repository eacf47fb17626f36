"""What figures look like, in text and in HTML: each value in its place, with its interval."""

import re
from dataclasses import replace

import pytest

import holymon as hm
from holymon.figures.comparison import compare_pairs
from holymon.figures.request_stats import stats
from holymon.figures.tool_definitions import OURS
from holymon.figures.verdict import judge
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import Flag, Marks
from holymon.records.records import from_marks
from tests.figures.test_pair_tests import side
from tests.figures.test_requests_by_hand import CALLS, attempt, records
from tests.figures.test_summary_by_hand import call, summary
from tests.figures.test_verdict import CALM, calls, verdict

NAMES = ["target", "calls", "failed", "latency p50, ms", "p95", "p99", "TTFT p50", "p95", "ITL p50",
         "answers/s", "tokens/s", "USD"]  # fmt: skip


def words(line):
    """The cells of a line of a table in text."""
    return re.split(r"\s{2,}", line.strip())


def cells(html):
    """The cells of each row of all tables, values and intervals apart by a blank."""
    return [
        [" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", html)
    ]  # fmt: skip


def test_a_summary_in_text_and_in_html():
    made = [call(k) for k in range(40)] + [call(40, error="server_error")]
    head, row = str(summary(made)).splitlines()
    assert words(head) == NAMES
    assert words(row) == ["url/m", "41", "2.4 %", "500", "500", "–", "460", "460", "9.99", "20", "100",
                          "0.00228"]  # fmt: skip
    head, row = cells(summary(made)._repr_html_())
    assert head == NAMES
    assert row == ["url/m", "41", "2.4 % 0.43 %–13 %", "500 500–500", "500", "–", "460 460–460", "460",
                   "9.99 9.99–9.99", "20", "100", "0.00228"]  # fmt: skip
    assert words(str(summary([])).splitlines()[1]) == ["url/m", "0", *["–"] * 9, "0"]


def test_a_summary_as_json():
    found = summary([call(k) for k in range(40)]).targets[0].to_dict()
    assert set(found["throughput"]) == {
        "requests_per_s", "output_tokens_per_s", "goodput_per_s", "wanted_per_s", "sent_per_s",
    }  # fmt: skip
    assert "requests_per_s" not in found
    assert isinstance(found["notes"], list)
    assert found["latency_s"]["ci"]["p50"] == pytest.approx((0.5, 0.5))


def test_a_comparison_in_html():
    pairs = [(side(0, fails=1), side(1, fails=3, latency=0.6 + k / 1000)) for k in range(5)]
    compared = compare_pairs(pairs)
    head, *rows = cells(compared._repr_html_())
    assert head == ["", "A: p/a", "B: p/b", "B / A, or B - A", "95 % interval", "result"]
    assert rows == [
        ["latency p50", "500 ms", "602 ms", "1.2", "1.2–1.21", "higher"],
        ["latency p95", "500 ms", "602 ms", "1.2", "1.2–1.21", "higher"],
        ["TTFT p50", "250 ms", "301 ms", "1.2", "1.2–1.21", "higher"],
        ["TTFT p95", "250 ms", "301 ms", "1.2", "1.2–1.21", "higher"],
        ["failed", "1 %", "3 %", "+2 points", "-0.418 to +4.74", "no difference shown"],
        ["– server_error", "5 (1 %)", "15 (3 %)", "–", "–", ""],
    ]
    assert "  server_error: 5 calls of A, 15 of B" in compared.lines


def test_a_comparison_of_what_never_answered_in_html():
    compared = compare_pairs([(side(0, fails=100), side(1, fails=100, error="cancelled"))])
    failed = cells(compared._repr_html_())[1]
    assert failed == ["failed", "100 %", "–", "–", "–", "not comparable"]
    both = compare_pairs([(side(0, fails=100), side(1)), (side(0), side(1, fails=100))])
    row = ["latency p50", "– ms", "– ms", "–", "–", "not comparable"]
    assert row in cells(both._repr_html_())
    assert "latency p50: no pair has this figure" in both.lines


def test_what_stopped_calls_are_is_no_share_of_those_that_tell_of_the_api():
    pairs = [(side(0, fails=3, error="cancelled"), side(1, fails=7))]
    rows = cells(compare_pairs(pairs)._repr_html_())
    assert ["– cancelled", "3", "0", "–", "–", ""] in rows
    assert ["– server_error", "0 (0 %)", "7 (7 %)", "–", "–", ""] in rows


def test_a_verdict_in_html_has_its_first_line_and_the_rest_as_a_list():
    made = verdict(state="stopped", plan=Plan(targets=(Target(provider="url", model="m"),), load=Open(constant(20)),
                                              duration_s=20, slo=("latency_p50<0.2",)))  # fmt: skip
    html = made._repr_html_()
    assert "<b>measurement: SUSPECT</b>" in html
    assert re.findall(r"<li>(.*?)</li>", html)[:2] == [
        "suspect: the run was stopped before its end.",
        "objective on url/m: latency_p50&lt;0.2: met",
    ]
    assert made.to_dict()["reasons"] == ["the run was stopped before its end.", *made.notes]
    assert made.notes[0].startswith("url/m: no TTFT")


@pytest.mark.parametrize(
    ("made", "more", "text"),
    [
        (calls(3), {}, "url/m: only 3 calls succeeded: even a median needs 6 for its interval."),
        (calls(50, errors=["unfinished"]), {}, "the run was interrupted: 1 calls under way at that "
         "moment are recorded as unfinished."),
        (calls(), {"state": "interrupted"}, "the run was interrupted."),
        (calls(50, ok=False), {}, "url/m: no call succeeded, so there is no latency to report."),
        (calls(errors=["client_dropped"] * 2), {}, "url/m: 2 calls were due but not sent, too many "
         "were unanswered: what they would have met is unknown."),
    ],
)  # fmt: skip
def test_reasons_in_full(made, more, text):
    assert verdict(made, **more).reasons[0].text == text


def test_reasons_of_the_client_in_full():
    texts = [reason.text for reason in verdict(vitals=replace(
        CALM, lag_s=CALM.lag_s + 0.02, cpu=CALM.cpu + 0.87, waited=CALM.waited + 0.31,
        pause_s=CALM.pause_s + 0.05)).reasons]  # fmt: skip
    assert texts == [
        "the client's event loop woke up to 20.3 ms late (p99; limit 3 ms): times may be too long by "
        "that much.",
        "the client used 97% of a core: it, not the API, may be the limit; lower the rate or use "
        "--workers.",
        "other processes had the client's core for 33% of the time it wanted to run: end them, or "
        "measure from another machine.",
        "garbage collection stopped the client for 50 ms.",
    ]


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        ("authentication", "(401: the key was refused): check the key in MY_KEY."),
        (
            "permission",
            "this key may not use that model: ask for access, or take another key (MY_KEY).",
        ),
        ("connect_timeout", "is http://host:1/v1 reachable from here (firewall, proxy, VPN)."),
        ("bad_request", "see the message of the failures."),
    ],
)
def test_a_target_that_refuses_everything_is_given_a_mend(error, mend):
    (reason,) = verdict(calls(0, errors=[error] * 10)).reasons
    assert reason.text.startswith(f"url/m: no call succeeded, all failed with {error} (")
    assert reason.text.endswith(mend)


def test_a_simulated_target_has_no_address_and_one_without_a_key_no_variable():
    plan = Plan(
        targets=(Target(provider="url", model="m"),), load=Open(constant(20)), duration_s=20
    )
    for error, mend in (
        ("authentication", "check the key in no variable: none was named."),
        ("dns_failure", "check the host name in the simulator."),
    ):
        made = from_marks(plan.targets, calls(0, errors=[error] * 10))
        (reason,) = judge(hm.summarize(made, plan), plan, CALM).reasons
        assert reason.text.endswith(mend)


def definition_lines(made):
    lines = {}
    for line in repr(made).splitlines():
        if line.startswith("  "):
            tool, *rest = words(line)
            lines[tool, rest[-1].split(" = ")[0]] = rest[0]
    return lines


def test_definitions_in_text():
    plan = Plan(targets=(Target(provider="url", model="m", base_url="http://127.0.0.1:1/v1"),),
                load=Open(constant(1)), requests=30)  # fmt: skip
    made = []
    for k in range(30):
        one = Marks(k, 0, float(k))
        one.start, one.chunk, one.end = one.due, one.due + 0.1, one.due + 1.5
        one.flags, one.error = int(Flag.STREAM), "server_error" * (k == 29)
        for at in (0.3, 0.4, 1.4567):
            one.token(one.start + at, 1)
        one.output_tokens = 3
        made.append(one)
    shown = definition_lines(hm.definitions(from_marks(plan.targets, made)))
    assert repr(hm.definitions(from_marks(plan.targets, made))).startswith("TTFT   url/m\n")
    assert shown[OURS, "TTFT"] == "p50 300, p95 300 ms"
    assert shown["vLLM bench", "E2EL"] == "p50 1,500, p95 1,500 ms"
    assert shown["AIPerf", "request latency"] == "p50 1,457, p95 1,457 ms"
    assert shown[OURS, "error rate"] == "3.333 %"
    assert shown["OpenRouter", "uptime"] == "96.67 %"
    assert shown["AIPerf", "request throughput"] == "0.9831/s"
    bare = repr(hm.definitions())
    assert bare.startswith("TTFT\n  holymon")
    assert "\n\nlatency\n  holymon" in bare


def test_stats_in_text_and_in_html():
    found = stats(records(*CALLS))
    felt, sent = (words(line) for line in str(found).splitlines() if line.startswith("url/a"))
    assert felt == ["url/a", "3", "67 %", "25 %", "4,500", "–", "–", "–", "5"]
    assert sent == ["url/a", "6", "1.5", "1,500", "–", "750", "–", "750", "14 / 10", "0.000114 / 0"]
    rows = cells(found._repr_html_())
    assert ["url/a", "3", "67 % 21 %–94 %", "25 % 4.6 %–70 %", "4,500", "–", "–", "–", "5"] in rows
    assert "SIMULATED" not in str(found)


def test_stats_of_a_simulated_target_say_so():
    found = stats(records(attempt(0, 0, 1.0, 1.0, flags=int(Flag.SIMULATED))))
    assert str(found).startswith("SIMULATED\n")
    assert found._repr_html_().startswith("<p><b>simulated</b></p>")
