"""A bill is held against what our calls were counted as: to the token, with what explains it."""

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import holymon as hm
from holymon.catalogue.own_calls import days_of
from holymon.cli.main import main
from holymon.errors import CODES
from holymon.figures.bill_difference import base, by_class, differences
from holymon.figures.own_bill import Own, own_bill
from holymon.figures.reconciliation import Reconciliation
from holymon.records import parquet
from holymon.records.attempt import Flag, blank
from holymon.records.bill import ProviderBill, Sums
from holymon.records.records import Records

TOKENS = {"input": 900, "cached": 100, "written": 0, "output": 500}
CLASSES = tuple(TOKENS)
DAY = "2026-11-01"


def ours(tokens=TOKENS, **more) -> dict[tuple[str, str], Own]:
    counts = {"calls": 10} | more.pop("counts", {})
    usd_of = {"input": 0.9, "cached": 0.1, "output": 1.0}
    return {(DAY, "openai/gpt-4.1"): Own(Counter(tokens), 2.0, usd_of, Counter(counts), **more)}


def theirs(changes=None, model="gpt-4.1-2025-04-14", day=DAY, money=None, requests=None) -> dict:
    return {(day, model): Sums(TOKENS | (changes or {}), money, requests)}


def bill(cells, classes=CLASSES, currency="") -> ProviderBill:
    return ProviderBill("b.csv", "", cells, classes, currency, ())


def judged(own, charged: ProviderBill, tolerance=0.01) -> Reconciliation:
    return Reconciliation(charged, differences(own, charged), tolerance)


def why(found: Reconciliation) -> dict[str, tuple[str, ...]]:
    return {row.kind: row.why for row in found.differences.rows if row.why}


def test_a_bill_that_agrees_says_within_what():
    found = judged(ours(), bill(theirs({"output": 505}, money=2.01), currency="USD"))
    assert (found.verdict, found.exit_code) == ("agrees", 0)
    assert found.sentence == (
        "The bill agrees within 1 %: 1,505 tokens of theirs, 1,500 of ours; "
        "2.01 USD of theirs, 2 of ours."
    )


def test_more_tokens_are_told_with_what_may_explain_them():
    own = ours(counts={"broken": 2, "answers": 1, "free": 3}, came=40, first_calls=1)
    found = judged(own, bill(theirs({"output": 800}, requests=12)))
    assert (found.verdict, found.exit_code) == ("differs", 1)
    assert found.sentence == "They bill 300 tokens more: 20 % (+0.6 USD by our prices)."
    assert why(found)["output"] == (
        "2 requests that we have no record of", "2 calls broken off without a count",
        "1 answer without a count", "1 first call, in no record",
        "3 failed calls that we take for free",
    )  # fmt: skip
    # Of 10 calls 4 were counted, whose prompts had 250 tokens; 40 tokens came of the 3 others.
    assert found.differences.explained == 300
    assert "may have had 300 of these 300 tokens" in found.table.text()


def test_tokens_in_another_class_and_another_price_are_no_more_tokens():
    found = judged(ours(), bill(theirs({"input": 1000, "cached": 0})))
    assert found.sentence.startswith("They bill as many tokens, but 100 of them as of another kind")
    assert why(found) == {"input": ("ours are cached",), "cached": ("billed as input",)}
    dear = judged(ours(), bill(theirs(money=2.5), currency="USD"))
    assert dear.sentence.startswith("They bill the same tokens at another price")
    assert why(dear) == {"cost": ("another price: 1.25 times that of our price book",)}


def test_what_a_bill_does_not_tell_apart_is_input():
    cells = {(DAY, "gpt-4.1"): Sums({"input": 1000, "output": 500})}
    assert judged(ours(), bill(cells, ("input", "output"))).differences.moved == 0
    costs = bill({(DAY, ""): Sums(money=2.0)}, (), "USD")
    assert judged(ours(), costs).verdict == "agrees"


def test_days_that_begin_at_another_hour_cancel_each_other():
    own = ours() | {("2026-11-02", "openai/gpt-4.1"): Own(Counter(TOKENS), 2.0)}
    cells = theirs({"output": 400}) | theirs({"output": 600}, day="2026-11-02")
    found = judged(own, bill(cells))
    assert (found.verdict, found.differences.moved) == ("agrees", 0)
    assert why(found)["output"] == ("their day begins at another hour: as many are on 2026-11-01",)


@pytest.mark.parametrize(
    ("own", "charged", "words"),
    [
        ({}, bill(theirs()), "there are no calls of ours"),
        (ours(), bill(theirs(model="o4")), "the bill is of o4, our calls are of openai/gpt-4.1"),
        (ours(), bill(theirs(day="2026-12-01")), "of 2026-12-01 to 2026-12-01, our calls of"),
        (ours({}), bill(theirs()), "no server counted tokens"),
        (ours(), bill({(DAY, ""): Sums(money=2.0)}, (), "EUR"), "price is not known in EUR"),
    ],
)
def test_what_can_not_be_compared_says_why(own, charged, words):
    found = judged(own, charged)
    assert (found.verdict, found.exit_code) == ("not comparable", 3)
    assert words in found.sentence


TOKEN_SUMS = st.fixed_dictionaries(dict.fromkeys(CLASSES, st.integers(0, 10**9)))
CELLS = st.dictionaries(
    st.tuples(st.sampled_from(["2026-11-01", "2026-11-02", "2026-11-03"]), st.sampled_from("ab")),
    TOKEN_SUMS, min_size=1,
)  # fmt: skip


@given(
    CELLS,
    CELLS,
    st.sampled_from([CLASSES, ("input", "output"), ("input", "cached", "output"), ("input",)]),
)
def test_no_token_is_lost_between_the_rows_and_the_sums(own, charged, classes):
    mine = {
        key: Own(Counter(tokens), 0.0, {}, Counter({"calls": 1})) for key, tokens in own.items()
    }
    theirs = {key: Sums(by_class(tokens, classes)) for key, tokens in charged.items()}
    found = differences({(day, f"p/{name}"): it for (day, name), it in mine.items()},
                        bill(theirs, classes))  # fmt: skip
    if found.unfit:
        return
    ours, billed = found.tokens
    assert sum(row.difference for row in found.rows) == billed - ours
    assert found.moved >= abs(billed - ours)
    whole = sum(sum(by_class(tokens, classes).values()) for tokens in charged.values())
    assert billed + sum(found.others.tokens.values()) == whole
    assert all(row.why for row in found.rows if row.difference)
    assert 0 <= found.explained <= max(0, sum(max(0, row.difference) for row in found.rows))
    assert Reconciliation(bill(theirs, classes), found, 0.0).table.text()


def test_what_is_not_ours_is_told_and_not_judged():
    cells = theirs() | theirs(model="<script>alert(1)</script>", money=3.0)
    found = judged(ours(), bill(cells))
    assert found.verdict == "agrees"
    assert "1,500 tokens, 3 " in found.table.notes[-1]
    assert "<script" not in found._repr_html_()


def test_a_bill_of_one_key_is_not_that_of_two_apis():
    own = ours() | {(DAY, "holysheep/gpt-4.1"): Own(Counter(TOKENS), 2.0)}
    with pytest.raises(hm.PlanError, match=r"holysheep/gpt-4\.1, openai/gpt-4\.1 .* --target"):
        judged(own, bill(theirs()))
    costs = bill({(DAY, ""): Sums(money=4.0)}, (), "USD")
    with pytest.raises(hm.PlanError, match="--target"):
        judged(ours() | {(DAY, "anthropic/claude-haiku-5-5"): Own(Counter(TOKENS), 2.0)}, costs)
    assert base("openrouter/Anthropic/Claude-Haiku-5-5-20261001") == "claude-haiku-5-5"
    assert base("Claude Haiku 5.5") == "claude-haiku-5-5", "in Anthropic's CSV of costs"
    assert base("openai/gpt-4.1") == "gpt-4.1"


def test_our_side_counts_only_what_the_server_did_and_tells_the_rest_apart():
    midnight = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
    rows = blank(6)
    rows["start_s"], rows["end_s"] = -10.0, [-9.0, 5.0, -9.0, -9.0, -9.0, np.nan]
    rows["prompt_tokens"], rows["cached_tokens"] = (
        [100, 100, -1, -1, -1, 50],
        [40, -1, -1, -1, -1, -1],
    )
    rows["output_tokens"], rows["events"] = [7, 8, 5, -1, -1, 3], [7, 8, 5, 2, 0, 3]
    rows["flags"] = [
        Flag.SERVER_TOKENS,
        Flag.SERVER_TOKENS | Flag.WARMUP,
        0,
        0,
        0,
        Flag.SERVER_TOKENS,
    ]
    rows["error"] = [0, 0, 0, *(CODES[name] for name in ("cancelled", "rate_limited", ""))]
    records = Records(
        (hm.Target(provider="p", model="m", price=hm.Price(input=1.0, output=2.0)),), midnight
    )
    records.extend(rows, np.empty(0, [("bin", "u2"), ("n", "u2")]), np.zeros(6, np.int64))
    cells = own_bill(records, lambda at: days_of(at, UTC))
    assert list(cells) == [(DAY, "p/m")]
    own = cells[DAY, "p/m"]
    assert own.tokens == {"input": 210, "cached": 40, "written": 0, "output": 18}
    assert own.usd == pytest.approx((250 * 1 + 18 * 2) / 1e6)
    assert own.counts == {"calls": 6, "answers": 1, "broken": 1, "free": 1, "again": 0, "warmup": 1,
                          "over_midnight": 1}  # fmt: skip
    assert own.came == 7


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A run on a server that cuts streams off, and its own log: what it would bill."""
    folder = tmp_path_factory.mktemp("served")
    server = subprocess.Popen(
        [sys.executable, "-m", "holymon.sim", "--port", "0", "--until-eof", "--log", folder / "log"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    base_url = json.loads(server.stdout.readline())["base_url"]
    price = hm.Price(input=1.0, output=4.0)
    target = hm.Target(provider="url", model="flaky", base_url=base_url, price=price)
    plan = hm.Plan(
        targets=(target,), load=hm.Closed(users=20), requests=60, stall_s=0.2, name="bill",
        prompts=hm.Prompts(texts=("what is seen from here at night?",), max_tokens=20),
    )  # fmt: skip
    run = hm.measure(plan, out=folder / "reports")
    server.stdin.close()
    server.wait(60)
    server.stdout.close()
    lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    at = datetime.fromtimestamp(run.records.began, UTC)
    entries = [
        {"created_at": int(at.timestamp()), "type": 2, "model_name": "flaky",
         "quota": (line["prompt_tokens"] + 4 * line["tokens_sent"]) / 2,
         "prompt_tokens": line["prompt_tokens"], "completion_tokens": line["tokens_sent"]}
        for line in lines if line["tokens_sent"]
    ]  # fmt: skip
    return folder, run, entries


def test_a_bill_of_the_servers_own_log_differs_by_the_calls_it_broke_off(served):
    folder, run, entries = served
    records = run.records
    broken = int(((records["error"] > 0) & (records["events"] > 0)).sum())
    assert broken > 0
    (folder / "log.json").write_text(json.dumps({"data": entries}))
    found = hm.reconcile(folder / "log.json", out=folder / "reports", runs="bill")
    output = next(row for row in found.differences.rows if row.kind == "output")
    lost = int(records["events"][(records["error"] > 0)].sum())
    assert (found.verdict, output.difference) == ("differs", lost)
    assert f"{broken} calls broken off without a count" in output.why
    prompts = broken * int(records["prompt_tokens"].max())
    assert found.differences.tokens[1] - found.differences.tokens[0] == lost + prompts
    assert found.differences.explained == lost + prompts
    # Without those the bill is ours, to the token and to the cent.
    tokens = Counter((r["prompt_tokens"], r["output_tokens"]) for r in records.rows[records.ok])
    kept = []
    for entry in entries:
        key = entry["prompt_tokens"], entry["completion_tokens"]
        if tokens[key] > 0:
            tokens[key] -= 1
            kept.append(entry)
    (folder / "kept.jsonl").write_text("\n".join(map(json.dumps, kept)))
    agreed = hm.reconcile(str(folder / "kept.jsonl"), out=folder / "reports")
    assert (agreed.verdict, agreed.differences.moved) == ("agrees", 0)
    assert agreed.differences.usd[0] == pytest.approx(agreed.differences.usd[1])


def test_the_command_says_it_in_text_json_and_its_exit_code(served):
    folder, run, entries = served
    (folder / "all.json").write_text(json.dumps(entries))
    asked = ["reconcile", str(folder / "all.json"), "--out", str(folder / "reports")]

    def said(*more: str):
        return CliRunner().invoke(main, [*asked, *more])

    text = said()
    assert (text.exit_code, "They bill" in text.stdout) == (1, True)
    told = said("--json", "--tolerance", "99%")
    assert (told.exit_code, json.loads(told.stdout)["verdict"]) == (0, "agrees")
    day = datetime.fromtimestamp(run.records.began, UTC).date()
    before = said("--until", str(day - timedelta(days=1)))
    assert (before.exit_code, "Not comparable" in before.stdout) == (3, True)
    for wrong in (["--runs", "none"], ["--zone", "Mars"], ["--tolerance", "x"], ["--since", "x"],
                  ["--since", "2026-11-30", "--until", "2026-11-01"],
                  ["--columns", "date"], ["--spilled", str(folder)]):  # fmt: skip
        done = said(*wrong)
        assert done.exit_code in {2, 4}
        assert done.stderr.startswith("holymon: ")
        assert done.stderr.count("\n") == 1


def test_what_a_monitor_spilled_is_ours_too(served, tmp_path: Path):
    folder, run, entries = served
    parquet.spill(run.records, tmp_path)
    (folder / "spill.json").write_text(json.dumps(entries))
    by_run = hm.reconcile(folder / "spill.json", out=folder / "reports")
    by_spill = hm.reconcile(folder / "spill.json", out=tmp_path, spilled=tmp_path)
    assert by_spill.differences.tokens == by_run.differences.tokens
    assert (
        by_spill.sources == f"{len(run.records)} calls of 0 runs and 1 file that monitors spilled"
    )
