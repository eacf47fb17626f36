"""What is shown of calls, probes, budgets and bad seconds, to the letter; a move's sums, by hand."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from holymon.figures.call_types import Call, Calls
from holymon.figures.changes import line
from holymon.figures.disturbance import Disturbance, Shift, disturbance
from holymon.figures.error_budget import ErrorBudgets, budget_of
from holymon.figures.hints import hint
from holymon.figures.move_figures import CallCost, bill, call_cost, saved_per_call, side_figures
from holymon.figures.probes import CacheLife, PrefixReading, StoppedStreams
from holymon.plan.plan import Target
from holymon.plan.price import Price
from holymon.records.client_health import ClientHealth
from holymon.structs import replace

PRICE = Price(input=2.0, output=8.0, cached_input=0.5, cache_write=2.5)


def lines(text):
    """Lines of a table, with one blank between cells."""
    return [" ".join(part.split()) for part in str(text).splitlines()]


SLOW = Call(
    request=1234, attempt=0, target="p/a", at=1767322807.001, since_s=2.001,
    stages=(0.001, None, 0.5, 0.25, 1.2, 0.05), latency_s=2.0, ttft_s=0.75, gap_s=0.7, gap_at_s=1.1,
    prompt_tokens=1500, output_tokens=20, cached_tokens=None, bytes=900, status=200, error_type="",
    finish="stop", code="", request_id="id-1", message="", unfit=True,
)  # fmt: skip
BAD = dataclasses.replace(
    SLOW, request=5, target="p/b", at=None, latency_s=None, gap_s=None, gap_at_s=None,
    stages=(0.001, *(None,) * 5), status=429, error_type="rate_limited", code="slow",
    message="slow down", request_id="", prompt_tokens=None, output_tokens=None, unfit=False,
)  # fmt: skip
STAGED = (
    "took late connect first byte first token decode rest longest gap tokens in + out request id"
)
ASKED = "2,000 1.00 – 500 250 1,200 50.0 700 at 1,100 1,500 + 20 id-1"
MOMENT = "2026-01-02 03:00:07.001Z"


def test_calls_to_ask_about_are_shown_with_all_that_a_provider_wants_to_know():
    *both, note = lines(Calls((SLOW,), (BAD,), 35, 4, several=True, simulated=True).table.text())
    assert both == [
        "The slowest of 35 calls that succeeded (simulated).", f"sent (UTC) target {STAGED}",
        f"{MOMENT} p/a {ASKED}", "1 of 4 calls that failed (simulated).",
        f"sent (UTC) target error {STAGED} what was said",
        "2.001 s p/b rate_limited (429) – 1.00 – – – – – – – + – – slow slow down",
    ]  # fmt: skip
    assert note.startswith("times in ms, one after the other: sent late")
    alone = lines(Calls((SLOW,), (), 1, 0, several=False, simulated=False).table.text())
    assert alone[:4] == ["The slowest of 1 call that succeeded.", f"sent (UTC) {STAGED}",
                         f"{MOMENT} {ASKED}", "No call failed."]  # fmt: skip
    assert alone[4:] == [note]
    none = Calls((), (), 0, 0, several=False, simulated=False)
    assert lines(none.table.text()) == ["No call succeeded.", "No call failed."]


def test_a_call_in_a_picture_says_what_is_known_of_it_line_by_line():
    assert SLOW.title.splitlines() == [
        f"{MOMENT}, call 1,234 to p/a", "took 2,000 ms",
        "late 1.00, first byte 500, first token 250, decode 1,200, rest 50.0 ms",
        "longest gap 700 at 1,100 ms", "1,500 + 20 tokens", "request id id-1",
        "the client was not fit to measure here",
    ]  # fmt: skip
    assert BAD.title.splitlines() == [
        "2.001 s, call 5 to p/b", "rate_limited (429)", "late 1.00 ms", "said: slow slow down",
    ]  # fmt: skip


def test_stopped_streams_are_shown_with_each_way_to_bill_them():
    shown = StoppedStreams("sim/fast", PRICE, (10, 20), (1500, 40), 64, 1, ("id-1", "id-2"),
                           "2026-11-27T10:00:00Z", "runs/x")  # fmt: skip
    assert lines(shown) == [
        "2 streams of sim/fast (simulated) stopped after 10, 20 tokens.",
        "One that was not stopped, billed as any: 1,500 tokens in, 40 out.",
        "1 of the stopped ones told a count before they ended.",
        "if they bill of those stopped tokens in tokens out USD",
        "nothing 0 0 0", "the prompts alone 3,000 0 0.006", "what came 3,000 30 0.00624",
        "whole answers 3,000 up to 128 0.007024",
        "Look in the bill of 2026-11-27 (UTC), best where this key made no other calls. With its "
        "export: holymon reconcile EXPORT --runs runs/x", "The server's ids: id-1, id-2",
    ]  # fmt: skip
    about = shown.to_dict()
    assert [tuple(way.values()) for way in about.pop("ways")] == [
        ("nothing", 0, 0, 0), ("the prompts alone", 3000, 0, pytest.approx(0.006)),
        ("what came", 3000, 30, pytest.approx(0.00624)),
        ("whole answers", 3000, 128, pytest.approx(0.007024)),
    ]  # fmt: skip
    assert about == {
        "probe": "cancelled", "target": "sim/fast", "began": "2026-11-27T10:00:00Z",
        "folder": "runs/x", "came": [10, 20], "max_tokens": 64, "counted": 1,
        "ids": ["id-1", "id-2"], "whole": {"prompt_tokens": 1500, "output_tokens": 40},
    }  # fmt: skip
    blind = StoppedStreams("p/m", PRICE, (10,), None, 64, 0)
    assert lines(blind)[:-1] == [
        "1 stream of p/m stopped after 10 tokens.",
        "The server counted no tokens of the call that was not stopped.",
        "0 of the stopped ones told a count before they ended.",
        "if they bill of those stopped tokens in tokens out USD", "nothing – 0 –",
        "the prompts alone – 0 –", "what came – 10 –", "whole answers – up to 64 –",
    ]  # fmt: skip
    assert (shown.exit_code, blind.exit_code) == (0, 3)
    assert {way["cost_usd"] for way in blind.to_dict()["ways"]} == {None}


def test_the_life_of_a_cache_is_shown_with_what_it_is_worth():
    read = [(1, 1.0, 1.1, 2000, 0), (1, 1.0, 1.2, 2000, 1000), (150, 150.0, 150.5, 2100, 1024),
            (300, 300.0, 301.0, 2000, 0)]  # fmt: skip
    shown = CacheLife("sim/fast", PRICE, tuple(PrefixReading(*each) for each in read), 1000, 2000)
    assert lines(shown) == [
        "sim/fast (simulated): The cache lives between 2.5 min and 5.02 min without use.",
        "49 % of a prompt that is there comes from it, which saves 37 % of its cost by the price book.",
        "To write it costs 12 % more than the prompt alone.", "pause there cached tokens of",
        "1 s 1 of 2 1,000 2,000", "2.5 min 1 of 1 1,024 2,100", "5 min 0 of 1 0 2,000",
        "1 reading before that had nothing of it: calls may reach machines that do not share a cache.",
    ]  # fmt: skip
    about = shown.to_dict()
    assert about["life_s"] == {"low": 150.0, "high": 301.0}
    assert about["share"] == pytest.approx(2024 / 4100)
    assert about["saved"] == pytest.approx(2024 / 4100 * 0.75)
    assert about["premium"] == pytest.approx(0.25 * 1000 / 2000)
    assert [tuple(each.values()) for each in about["readings"]] == read
    free = CacheLife("p/m", Price(), shown.readings, 1000, 2000)
    assert (free.saved, free.premium, free.exit_code) == (None, None, 0)
    assert lines(free)[1] == "49 % of a prompt that is there comes from it."
    dear = CacheLife(
        "p/m", Price(input=2.0, output=8.0, cached_input=0.5), shown.readings, 1000, 2000
    )
    assert dear.premium == 0
    assert CacheLife("p/m", PRICE, shown.readings, 0, 2000).premium is None


HELD = budget_of("error_rate<1%", "a", 0.01, [(2, 1000), (0, 1000), (4, 1000)], (4, 1000))
USED = budget_of("error_rate<=0%", "c", 0.0, [(1, 10)], (1, 10))


def test_error_budgets_say_the_least_first_and_their_intervals():
    one = ErrorBudgets((HELD,), "over 28 days with 3 runs", simulated=True).table
    assert str(one.lead[0]) == (
        "80 % of the error budget of error_rate<1% is left, over 28 days with 3 runs (simulated)."
    )
    two = ErrorBudgets((HELD, USED), "over 2 h with 1 run", simulated=False, notes=("n",))
    assert lines(two)[0] == (
        "The error budget of error_rate<=0% is used up at c, over 2 h with 1 run."
    )
    assert lines(two)[2:-2] == [
        "error_rate<1% a 1 % 0.2 % 3,000 3 80 % 0.4", "95 % interval 41 % to 93 %",
        "error_rate<=0% c 0 % 10 % 10 1 – –", "95 % interval – to –",
    ]  # fmt: skip
    assert lines(two)[-1] == "n"
    about = two.to_dict()
    assert [about[name] for name in ("left", "slo", "target", "over", "simulated", "reasons")] == [
        None, "error_rate<=0%", "c", "over 2 h with 1 run", False,
        ["an objective that allows no miss has none left: it was missed", "n"],
    ]  # fmt: skip
    about = ErrorBudgets((HELD,), "over 2 h with 1 run", simulated=True).to_dict()
    assert (about["left"], about["reasons"], about["simulated"]) == (pytest.approx(0.8), [], True)
    assert about["budgets"][0]["ci"] == pytest.approx((0.413, 0.932), abs=1e-3)
    none = ErrorBudgets((), "", simulated=False, notes=("no objective", "other"))
    assert lines(none) == ["No error budget: no objective.", "other"]
    assert none.to_dict() == {
        "left": None, "slo": None, "target": None, "over": None, "budgets": [],
        "simulated": False, "reasons": ["no objective", "other"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "kinds", "shifts", "text"),
    [
        ((2, 60, 3, 1000), ("busy", "paused"),
         [("a", "latency_s", "p95", 0.5, 0.4), ("a", "ttft_s", "p50", 0.2, 0.1)],
         "in 2 of 60 s the client was short of CPU or stopped for garbage collection; 3 of 1,000 "
         "calls fell in that time; TTFT p50 without them 100 ms instead of 200."),
        ((1, 60, 1, 1), ("starved",),
         [("a", "latency_s", "p95", 0.5, 0.4), ("b", "ttft_s", "p50", 0.2, 0.19)],
         "in 1 of 60 s the client waited for its core; 1 of 1 call fell in that time; a: latency "
         "p95 without it 400 ms instead of 500."),
        ((1, 60, 1, 2000), ("stood",), [("a", "latency_s", "p95", 0.5, 0.5 + 1e-8)],
         "in 1 of 60 s the client stood still; 1 of 2,000 calls fell in that time, and no "
         "percentile differs without it."),
        ((1, 60, 0, 2), ("stood",), [], "in 1 of 60 s the client stood still; 0 of 2 calls fell in that time."),
    ],
)  # fmt: skip
def test_bad_seconds_in_a_sentence(numbers, kinds, shifts, text):
    moved = tuple(Shift(*shift) for shift in shifts)
    assert Disturbance(*numbers, dict.fromkeys(kinds, 1), {}, moved).text == text


def test_seconds_of_workers_are_counted_once_and_long_ones_whole():
    at = np.array([1.0, 2.0, 3.0, 1.1, 2.1, 3.1, 30.6, 31.6])
    none, busy = np.zeros(8), np.array([0.1, 0.95, 0.1, 0.1, 0.95, 0.1, 0.1, 0.1])
    worked = ClientHealth(at, none, busy, none, none, none, none.astype(int), none, none)
    stood = dataclasses.replace(worked, cpu=none, lag_max_s=np.where(at == 30.6, 27.0, 0.0))
    for vitals, seconds in ((worked, 1), (stood, 28)):
        touched = disturbance(vitals)
        assert (touched.seconds, touched.of_seconds) == (seconds, 32)


T = Target(provider="p", model="m", base_url="http://h:8000/v1", api_key_env="KEY")
TLS, BARE = {"base_url": "https://h/v1"}, {"base_url": "http://h:8000"}
PAGE = "a wall or proxy in between wrote that page, not the API"
UNTRUSTED, PLAIN = (
    "nobody here trusts who signed its certificate",
    "The plain HTTP request was sent to HTTPS port",
)
ON_PROXY = "the proxy wants a name and a password"
WRITE = "that port speaks TLS: write https://h:8000/v1"


@pytest.mark.parametrize(
    ("error", "words", "changes", "start"),
    [
        ("server_disconnected", "", {}, "if that port speaks TLS, write https://h:8000/v1"),
        ("server_disconnected", "", TLS, ""), ("server_error", "", {}, ""),
        ("authentication", "no", {}, "check the key in KEY"),
        ("permission", "no", {}, "this key may not use that model: ask for access, or take another key (KEY)"),
        ("quota_exhausted", "no", {}, "no credit is left for the key in KEY"),
        ("quota_exhausted", "no", {"api_key_env": ""}, "no credit is left"),
        ("dns_failure", "", {}, "check the host name in http://h:8000/v1"),
        ("connection_refused", "", {}, "see whether a server runs at http://h:8000/v1"),
        ("connect_timeout", "", {}, "see whether http://h:8000/v1 can be reached from here (firewall, proxy, VPN)"),
        ("connect_timeout", "greeting of TLS", TLS, "if that port does not speak TLS, write http://h/v1"),
        ("tls_error", "wrong version number", TLS, "that port does not speak TLS: write http://h/v1"),
        ("tls_error", "has expired", TLS, "the certificate of https://h/v1 is not valid now"),
        ("tls_error", "hostname mismatch", TLS, "the certificate is not for the host in https://h/v1"),
        ("tls_error", "self-signed certificate", TLS, UNTRUSTED),
        ("tls_error", "certificate VERIFY FAILED", TLS, UNTRUSTED),
        ("server_disconnected", "x on a connection that it had kept open", {}, "the server closes connections that it said it keeps open"),
        ("server_error", "x on a connection that it had kept open", {}, ""),
        ("unavailable", "当前分组 default 下对于模型 m 无可用渠道", {}, "check the model's name, 'm'"),
        ("server_disconnected", "peer closed without sending the complete body", {}, ""),
        ("tls_error", "odd", TLS, "check https and the certificate of https://h/v1"),
        ("server_error", "self-signed certificate", TLS, ""),
        ("bad_request", PLAIN, {}, WRITE), ("bad_request", PLAIN, TLS, ""),
        ("http_4xx", "407 who", {}, ON_PROXY), ("http_4xx", "Proxy Authentication", {}, ON_PROXY),
        ("server_error", "Proxy Authentication", {}, ""),
        ("server_error", "a page of HTML: squid", {}, "a proxy in between wrote that, not the API"),
        ("unexpected_content_type", "squid", {}, "a proxy in between wrote that, not the API"),
        ("server_error", "squid", {}, ""), ("server_error", "captcha", {}, ""),
        ("permission", "a page of HTML: captcha", {}, PAGE), ("authentication", "a page of HTML", {}, PAGE),
        ("server_error", "a page of HTML: captcha", {}, PAGE), ("server_error", "a page of HTML", {}, ""),
        ("bad_request", "streaming is not supported", {}, "measure whole answers with --no-stream"),
        ("rate_limited", "streaming is not supported", {}, "the API takes no more calls now"),
        ("unexpected_content_type", "use --no-stream", {}, ""),
        ("not_found", "", BARE, "check the model's name and the base_url (http://h:8000): it may need /v1"),
        ("http_4xx", "", BARE, "check the base_url (http://h:8000): it may need /v1 at its end"),
        ("server_error", "", BARE, ""),
        ("not_found", "", BARE | {"endpoint": "messages"},
         "check the model's name and the base_url (http://h:8000): it may need /v1 at its end, or not "
         "speak messages"),
        ("not_found", "", {}, "check the model's name and the base_url (http://h:8000/v1)"),
        ("not_found", "no such model", {}, "check the model's name, 'm'"),
        ("bad_request", "unknown model x", {}, "check the model's name, 'm'"),
        ("server_error", "unknown model x", {}, ""), ("bad_request", "no", {}, ""),
        ("not_found", "", {"endpoint": "messages"},
         "check the model's name, the base_url (http://h:8000/v1) and the endpoint in targets.toml: that "
         "server may not speak messages"),
        ("unexpected_status", "redirected to https://h/v1/x", {}, "write https://h:8000/v1"),
        ("unexpected_status", "redirected to https://o/v1/x", {}, "redirections are not followed"),
        ("unexpected_status", "redirected to http://h/v1/x", {}, "redirections are not followed"),
        ("unexpected_status", "redirected to https://h/login", {}, "that looks like a page to log in at"),
    ],
)  # fmt: skip
def test_what_may_mend_a_failure(error, words, changes, start):
    text = hint(error, words, replace(T, **changes))
    assert text.startswith(start) if start else text == ""
    if error == "server_disconnected" and "kept open" not in words:
        assert hint(error, words, replace(T, **changes), answered=True) == ""


def part(calls=100, failed=0, priced=100, cost=1.0, squares=0.02, slo=()):
    return SimpleNamespace(calls=calls, failed=failed, priced=priced, cost=cost, squares=squares,
                           latency="94:50 1:50", ttft="50:100", slo=dict(slo))  # fmt: skip


def test_the_figures_of_a_side_are_those_of_all_its_parts():
    about = side_figures(
        [part(slo={"a": (100, 4), "b": (100, 0)}), part(failed=4, slo={"a": (50, 2)})]
    ).to_dict()
    assert (about["calls"], about["failed"], about["priced"], about["cost_usd"]) == (200, 4, 200, 2)
    assert about["error_rate"]["value"] == 0.02
    assert about["latency_s"]["p50"] == pytest.approx(1e-3 * 1.05**95)
    assert about["ttft_s"]["p50"] == pytest.approx(1e-3 * (1.05**50 + 1.05**51) / 2)
    assert (about["latency_s"]["n"], about["ttft_s"]["n"]) == (200, 200)
    assert about["cost_per_success_usd"]["value"] == pytest.approx(2 / 196)
    sides = side_figures([part(slo={"a": (100, 4), "b": (100, 0)}), part(slo={"a": (50, 2)})])
    assert {name: (rate.value, rate.of) for name, rate in sides.slo.items()} == {
        "a": (0.04, 150), "b": (0.0, 100)}  # fmt: skip
    free = side_figures([part(priced=0)]).to_dict()
    assert (free["cost_usd"], free["cost_per_success_usd"]) == (None, None)
    bursts = side_figures([part(failed=failed) for failed in (0, 0, 0, 40, 0, 0, 0, 0)]).failed
    even = side_figures([part(failed=5)] * 8).failed
    assert (bursts.of, even.of, even.value) == (800, 800, 0.05)
    assert bursts.value == pytest.approx(0.05)
    assert bursts.high > 2 * even.high, "in bursts calls count as fewer"
    assert side_figures([]).failed.of == 0


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([part()], CallCost(0.01, 0.001, 0.01, 100)), ([part(failed=50)], CallCost(0.01, 0.001, 0.01, 100)),
        ([part(priced=19)], None), ([part(priced=20, calls=19)], None), ([part(priced=20, failed=80)], CallCost(0.01, 0.001, 0.01, 100)),
        ([part(cost=1 + k / 10) for k in range(7)], CallCost(0.013, 0.00021044, 0.0055678, 700)),
        # From eight parts on: the root of the sum of (k - 3.5)^2 / 100, times 8/7, over 800 calls.
        ([part(cost=1 + k / 10) for k in range(8)], CallCost(0.0135, (0.42 * 8 / 7) ** 0.5 / 800, 0.0042131, 800)),
    ],
)  # fmt: skip
def test_what_a_call_costs_by_its_sums(parts, expected):
    found = call_cost(parts)
    if expected is None:
        assert found is None
    else:
        assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(expected), rel=1e-4)


def test_a_call_that_succeeds_pays_for_those_that_fail():
    assert call_cost([part(failed=50)], of_successes=True).mean == 0.02
    assert call_cost([part(failed=81)], of_successes=True) is None
    assert call_cost([part(failed=80)], of_successes=True).calls == 20


def test_the_bill_of_a_move_is_held_against_what_the_baseline_would_have_cost():
    a, b = CallCost(0.02, 0.001, 0.01, 100), CallCost(0.01, 0.002, 0.005, 50)
    made = bill({"baseline": 1.0, "candidate": 0.5}, [(100, a), (25, a), (10, b)])
    half = 1.959964 * (0.125**2 + 125 * 1e-4 + 0.02**2 + 10 * 25e-6) ** 0.5
    assert made.to_dict() == {
        "paid_usd": {"baseline": 1.0, "candidate": 0.5},
        "without_move_usd": pytest.approx({"value": 3.6, "low": 3.6 - half, "high": 3.6 + half}),
        "saved_usd": pytest.approx({"value": 2.1, "low": 2.1 - half, "high": 2.1 + half}),
    }
    assert bill({}, []).to_dict()["saved_usd"] == {"value": 0, "low": 0, "high": 0}
    saved, half = saved_per_call(a, b), 1.959964 * 5**0.5 / 1000
    assert (saved.value, saved.low, saved.high) == pytest.approx((0.01, 0.01 - half, 0.01 + half))
    assert (a.amount.low, a.amount.high) == pytest.approx((0.018016, 0.021984), abs=1e-6)


def test_a_line_over_runs_holds_those_in_which_its_figure_is_known():
    nan = np.nan
    value = np.array([1.0, 2.0, nan, 3.0, 0.0, 4.0, 5.0])
    at = np.array([0.0, 1, 2, nan, 4, 5, 6])
    n = np.array([10.0, 10, 10, 10, 10, 0, 20])
    each = line("latency_p50", "t", list("abcdefg"), at, value, value / 1.2, value * 1.2, n)
    assert each.ids == ("a", "b", "g")
    assert [each.value.tolist(), each.requests.tolist(), each.runs.at.tolist()] == [
        [1, 2, 5], [10, 10, 20], [0, 1, 6]]  # fmt: skip
    assert each.runs.y == pytest.approx(np.log([1, 2, 5]))
    assert each.runs.error == pytest.approx([np.log(1.2) / 1.959964] * 3)
    ones, low = np.ones(3), np.array([1.0, 0.9, nan])
    each = line(
        "latency_p50",
        "t",
        list("abc"),
        np.arange(3.0),
        ones,
        low,
        np.array([1.0, 1.1, nan]),
        100 * ones,
    )
    known = np.log(1.1 / 0.9) / 2 / 1.959964
    assert each.runs.error == pytest.approx([0, known, known / 2]), (
        "the usual one where none is known"
    )
    share = np.array([0.0, 1.0, 1.1])
    each = line(
        "error_rate", "t", list("abc"), np.arange(3.0), share, low * nan, low * nan, 100 * ones
    )
    assert each.ids == ("a", "b")
    assert each.runs.y == pytest.approx(np.arcsin(np.sqrt(np.array([0.375, 100.375]) / 100.75)))
    assert each.runs.error == pytest.approx([0.05, 0.05])
