"""What results say: each value in its place, with its interval, and sentences in full."""

from dataclasses import replace

import pytest

import holymon as hm
from holymon.figures.comparison import compare_pairs
from holymon.figures.request_stats import request_stats
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


def rows(table):
    """The rows of a table, an interval behind its figure, after a blank."""
    return [
        [" ".join(filter(None, cell)) if isinstance(cell, tuple) else cell for cell in row]
        for row in table.rows
    ]


def test_a_summary_shows_each_figure_in_its_place():
    made = [call(k) for k in range(40)] + [call(40, error="server_error")]
    table = summary(made).table
    assert list(table.heads) == NAMES
    assert rows(table) == [
        ["url/m", "41", "2.4 % 0.43–13 %", "500 500–500", "500", "–", "460 460–460", "460",
         "9.99 9.94–10.0", "20", "100", "0.00228"],
        ["  of all calls", "", "", "500 500–500", "500 500–never", "–", "460 460–460",
         "460 460–never", "9.99 9.94–10.0", "", "", ""],
    ]  # fmt: skip
    assert table.notes == (
        "times are of the calls that succeeded, and below them of all calls, a failed one taking "
        "for ever",
    )
    assert rows(summary([]).table) == [["url/m", "0", *["–"] * 9, "0"]]
    durations = rows(summary([call(k) for k in range(40)]).targets[0].table)
    assert durations[0][:3] == ["latency", "40", "500 500–500"]
    assert repr(summary(made)) == table.text()
    assert summary(made)._repr_html_() == table.html()


@pytest.mark.parametrize(
    ("made", "facts"),
    [
        ([call(k) for k in range(40)],
         ("40 calls, 40 ok, 0 of 40 failed, at most 8.8 %",
          "20 answers/s, 20 of 20 calls/s sent, 100 output tokens/s",
          "tokens 280 in, 200 out (counted by the server)", "cost 0.00228 USD (input 0.00028, output 0.002)")),
        ([call(0, error="server_error"), call(1, flags=int(Flag.WARMUP))],
         ("1 call (and 1 before, to warm up), 0 ok, 1 of 1 failed, 100 % (21 % to 100 %)",
          "– answers/s, – output tokens/s",
          "tokens – in, – out (not known)", "cost 0 USD")),
    ],
)  # fmt: skip
def test_a_target_in_three_lines(made, facts):
    assert summary(made).targets[0].facts == facts


def test_tokens_that_were_counted_here_are_said_to_be_estimated():
    here = [call(k) for k in range(3)]
    for one in here:
        one.flags = int(Flag.STREAM)
    tokens, cost = summary(here).targets[0].facts[2:]
    assert (tokens, cost) == ("tokens 21 in, 15 out (estimated: pieces counted)", "cost –")
    here[0].flags |= int(Flag.SERVER_TOKENS)
    assert "(partly estimated)" in summary(here).targets[0].facts[2]


def test_a_summary_as_json():
    found = summary([call(k) for k in range(40)]).targets[0].to_dict()
    assert set(found["throughput"]) == {
        "requests_per_s", "output_tokens_per_s", "goodput_per_s", "wanted_per_s", "sent_per_s",
        "prompt_tokens_per_s", "items_per_s",
    }  # fmt: skip
    assert "requests_per_s" not in found
    assert isinstance(found["notes"], list)
    assert found["latency_s"]["ci"]["p50"] == pytest.approx((0.5, 0.5))


def test_a_comparison_has_a_row_for_each_figure_and_each_error():
    pairs = [(side(0, fails=1), side(1, fails=3, latency=0.6 + k / 1000)) for k in range(5)]
    compared = compare_pairs(pairs)
    assert rows(compared.table) == [
        ["latency p50", "500 ms", "602 ms", "1.2", "1.2–1.21", "B is higher"],
        ["latency p95", "500 ms", "602 ms", "1.2", "1.2–1.21", "B is higher"],
        ["TTFT p50", "250 ms", "301 ms", "1.2", "1.2–1.21", "B is higher"],
        ["TTFT p95", "250 ms", "301 ms", "1.2", "1.2–1.21", "B is higher"],
        ["failed", "1 %", "3 %", "+2 points", "-0.418 to +4.74", "no difference shown"],
        ["– server_error", "5 (1 %)", "15 (3 %)", "–", "–", ""],
    ]
    assert compared.table.lead == (compared.headline,)


def test_a_comparison_of_what_never_answered_has_dashes():
    compared = compare_pairs([(side(0, fails=100), side(1, fails=100, error="cancelled"))])
    assert rows(compared.table)[0] == ["failed", "100 %", "–", "–", "–", ""]
    assert compared.table.lead == (compared.headline, *compared.notes)
    both = compare_pairs([(side(0, fails=100), side(1)), (side(0), side(1, fails=100))])
    assert ["latency p50", "never", "never", "–", "–", ""] in rows(both.table)
    assert both.ratios[0].text == "latency p50: never and never, not comparable"


def test_calls_that_were_stopped_are_no_share_of_those_that_tell_of_the_api():
    pairs = [(side(0, fails=3, error="cancelled"), side(1, fails=7))]
    table = rows(compare_pairs(pairs).table)
    assert ["– cancelled", "3", "0", "–", "–", ""] in table
    assert ["– server_error", "0 (0 %)", "7 (7 %)", "–", "–", ""] in table


def test_a_verdict_has_its_reasons_a_row_for_each_objective_and_notes():
    objectives = ("latency_p50<0.2", "error_rate<0.1%", "tpot_p50<1", "requests_per_s>=100")
    made = verdict(state="stopped", plan=Plan(targets=(Target(provider="url", model="m"),), load=Open(constant(20)),
                                              duration_s=20, slo=objectives))  # fmt: skip
    table = made.table
    assert list(table.lead) == [
        "measurement: SUSPECT",
        "suspect: the run was stopped before its end.",
    ]
    assert rows(table) == [
        ["latency_p50<0.2", "url/m", "100 ms", "met"],
        ["error_rate<0.1%", "url/m", "0 %", "met (not certain: it takes more calls)"],
        ["tpot_p50<1", "url/m", "–", "no figure to judge by"],
        ["requests_per_s>=100", "url/m", "20", "MISSED"],
    ]
    assert made.to_dict()["reasons"] == ["suspect: the run was stopped before its end.",
                                          *made.notes]  # fmt: skip
    assert made.notes[0].startswith("url/m: no TTFT")
    assert repr(made) == table.text()


@pytest.mark.parametrize(
    ("made", "more", "text"),
    [
        (calls(3), {}, "url/m: only 3 calls succeeded: even a median needs 6 for its interval."),
        (calls(50, errors=["unfinished"]), {}, "the run was interrupted: 1 call under way then, "
         "recorded as unfinished."),
        (calls(), {"state": "interrupted"}, "the run was interrupted."),
        (calls(50, ok=False), {}, "url/m: no call succeeded, all failed with server_error (500: the server failed)."),
        (calls(errors=["client_dropped"] * 2), {}, "url/m: 2 calls were due but not sent, too many "
         "were unanswered: what they would have met is unknown."),
    ],
)  # fmt: skip
def test_reasons_in_full(made, more, text):
    assert verdict(made, **more).reasons[0].text == text


def test_reasons_of_the_client_in_full():
    texts = [reason.text for reason in verdict(vitals=replace(
        CALM, lag_s=CALM.lag_s + 0.02, cpu=CALM.cpu + 0.87, waited=CALM.waited + 0.31,
        late_s=CALM.late_s + 0.002, pause_s=CALM.pause_s + 0.05)).reasons]  # fmt: skip
    assert texts == [
        "the client's event loop woke up to 20.3 ms late (p99; limit 3 ms): times may be too long by "
        "that much.",
        "the client used 97 % of a core: it, not the API, may be the limit; lower the rate or use "
        "--workers.",
        "other processes had the client's core for 33 % of the time it wanted to run, so it woke 2.1 ms "
        "late on average: end them, or measure from another machine.",
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
        (
            "connect_timeout",
            "see whether http://host:1/v1 can be reached from here (firewall, proxy, VPN).",
        ),
        ("bad_request", "(400: the request was refused as malformed)."),
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


def test_definitions_have_their_values():
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
    (table,) = hm.definitions(from_marks(plan.targets, made)).table
    assert table.lead == ("url/m",)
    # A figure and its unit are on one line.
    shown = {
        (figure, tool): value.replace("\N{NO-BREAK SPACE}", " ")
        for figure, tool, value, _ in rows(table)
    }
    assert shown["TTFT", OURS] == "p50 300, p95 300 ms"
    assert shown["", "vLLM bench: E2EL"] == "p50 1,500, p95 1,500 ms"
    assert shown["", "AIPerf: request latency"] == "p50 1,457, p95 1,457 ms"
    assert shown["error rate", OURS] == "3.333 %"
    assert shown["", "OpenRouter: uptime"] == "96.67 %"
    assert shown["", "AIPerf: request throughput"] == "0.9831/s"
    (bare,) = hm.definitions().table
    assert (bare.lead, {value for _, _, value, _ in rows(bare)}) == ((), {""})


def test_stats_show_each_figure_in_its_place():
    found = request_stats(records(*CALLS))
    felt, sent = map(rows, found.table)
    assert felt == [
        ["url/a", "3", "67 % 21–94 %", "25 % 4.6–70 %", "4,500", "–", "–", "–", "5"],
        ["  of all calls", "", "", "", "7,000", "–", "–", "", ""],
    ]  # fmt: skip
    assert sent == [
        ["url/a", "6", "1.5", "1,500", "–", "750", "–", "750", "14 / 10", "0.000114 / 0"],
        ["  of all calls", "", "", *["never"] * 5, "", ""],
    ]
    live_felt, live_sent = map(rows, found.live_table)
    assert live_felt[0][4] == "4,500 of all: 7,000"
    assert [len(live_felt), len(live_sent)] == [1, 1], "nothing jumps"
    assert "SIMULATED" not in repr(found)


def test_stats_of_a_simulated_target_say_so():
    found = request_stats(records(attempt(0, 0, 1.0, 1.0, flags=int(Flag.SIMULATED))))
    assert found.table[0].lead == ("SIMULATED",)
