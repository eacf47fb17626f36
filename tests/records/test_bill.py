"""Usage exports are read in the forms they really have, and what is wrong names its place."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.errors import ConfigError, HolymonError, PlanError
from holymon.records.bill import ProviderBill, read
from holymon.records.written import day, money, tokens

# Forms as they are documented: of OpenAI at platform.openai.com/docs/api-reference/usage, of Anthropic
# at platform.claude.com/docs/en/api/admin-api/usage-cost, of OpenRouter (Activity) at openrouter.ai/docs,
# of LiteLLM_SpendLogs at docs.litellm.ai/docs/proxy/cost_tracking; of one-api's log in the sources of
# QuantumNous/new-api and songquanpeng/one-api. The CSV of OpenRouter's Activity page and that of costs
# from Anthropic's console as 0error-ob/ai-eng-audit has them in its tests; Azure's cost details (EA) at
# learn.microsoft.com/azure/cost-management-billing/dataset-schema/cost-usage-details-ea.
OPENAI = {"object": "page", "has_more": False, "data": [
    {"object": "bucket", "start_time": 1730419200, "end_time": 1730505600, "results": [
        {"object": "organization.usage.completions.result", "input_tokens": 1000,
         "output_tokens": 500, "input_cached_tokens": 800, "num_model_requests": 5,
         "project_id": None, "model": "gpt-4.1-2025-04-14", "batch": None}]},
    {"object": "bucket", "start_time": 1730505600, "end_time": 1730592000, "results": []}]}  # fmt: skip
COSTS = {"data": [{"start_time": 1730419200, "results": [
    {"object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"}},
    {"object": "organization.costs.result", "amount": {"value": 0.04, "currency": "usd"}}]}],
    "has_more": True}  # fmt: skip
ANTHROPIC = {"data": [{"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z",
    "results": [{"uncached_input_tokens": 1500, "cache_creation": {
        "ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
        "cache_read_input_tokens": 200, "output_tokens": 700, "model": "claude-haiku-5-5"}]}]}  # fmt: skip
CENTS = {"data": [{"starting_at": "2026-11-01T00:00:00Z", "results": [
    {"currency": "USD", "amount": "123.45", "description": None, "model": "claude-haiku-5-5"}]}]}  # fmt: skip
CONSOLE = (
    "\ufeffusage_date_utc,model_version,api_key,workspace,usage_type,context_window,"
    "usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
    "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\r\n"
    "2026-11-01,claude-haiku-5-5,k,Default,standard,≤ 200k,46981,15969,31,7,16932\r\n"
)
OPENROUTER = (
    "generation_id,created_at,cost_total,cost_cache,tokens_prompt,tokens_completion,"
    "tokens_reasoning,tokens_cached,model_permaslug\n"
    "gen-1,2026-11-01 18:54:30.040,0.0021,-0.0001,100,20,5,60,openai/gpt-4.1\n"
    "gen-2,2026-11-01 23:59:59.999,0.0009,,50,10,,,openai/gpt-4.1\n"
)
OPENROUTER_PAGE = (
    "Date,Slug,Usage,BYOK Usage,Requests,Prompt Tokens,Completion Tokens,Reasoning Tokens\n"
    '"2026-05-12 00:00:00","anthropic/claude-opus-4.7","430.07","0","4115","70965665","3009973","0"\n'
)
CONSOLE_COSTS = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,"
    "list_price_usd,cost_type,inference_geo,speed\n"
    "2026-03-15,Claude Opus 4.6,Default,k,message,≤ 200k,input_no_cache,1.50,1.50,token,global,\n"
    "2026-03-15,Claude Opus 4.6,Default,k,message,≤ 200k,output,0.50,0.50,token,global,\n"
)
AZURE = (
    "SubscriptionName,ResourceGroup,Date,MeterCategory,MeterName,UnitOfMeasure,Quantity,"
    "CostInBillingCurrency,BillingCurrency\n"
    "s,g,05/04/2026,Foundry Models,gpt 4.1 Inp glbl Tokens,1K,12.5,0.25,EUR\n"
    "s,g,05/14/2026,Foundry Models,gpt 4.1 Outp glbl Tokens,1K,2.5,0.5,EUR\n"
)
AZURE_COLUMNS = {"cost": "CostInBillingCurrency", "currency": "BillingCurrency"}
ACTIVITY = {"data": [{"date": "2026-11-01", "model": "openai/gpt-4.1", "provider_name": "OpenAI",
    "model_permaslug": "openai/gpt-4.1-2025-04-14", "usage": 0.015, "requests": 5,
    "byok_usage_inference": 0.012, "prompt_tokens": 50, "completion_tokens": 125}]}  # fmt: skip
LITELLM = [{"request_id": "r", "startTime": "2026-11-01T08:00:00.1Z", "spend": 0.01, "model": "m",
    "prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34, "metadata": json.dumps(
        {"usage_object": {"prompt_tokens_details": {"cached_tokens": 10}}})}]  # fmt: skip
ONE_API = {"success": True, "message": "", "data": {"items": [
    {"created_at": 1793520000, "type": 2, "model_name": "gpt-4", "quota": 1000, "token_name": "t",
     "prompt_tokens": 100, "completion_tokens": 7, "other": '{"cache_tokens": 40}'},
    {"created_at": 1793520001, "type": 2, "model_name": "gpt-4", "quota": 500, "token_name": "t",
     "prompt_tokens": 5, "completion_tokens": 3,
     "other": '{"claude": true, "cache_tokens": 60, "cache_creation_tokens": 2}'},
    {"created_at": 1793520002, "type": 1, "model_name": "", "quota": 5000000}], "total": 3}}  # fmt: skip
GERMAN = 'Tag;Modell;Ein;Aus;Kosten\n2026/11/01;m;"1.234";12;"1.234,50 €"\n2026/11/01;m;1;1;0,5 €\n'
GERMAN_COLUMNS = {
    "date": "Tag",
    "model": "Modell",
    "prompt": "Ein",
    "completion": "Aus",
    "cost": "Kosten",
}


def saved(tmp_path: Path, what, name: str = "bill") -> Path:
    path = tmp_path / name
    path.write_text(what if isinstance(what, str) else json.dumps(what), "utf-8")
    return path


def sums(bill: ProviderBill) -> dict:
    return {key: (*it.tokens.values(), None if it.money is None else round(it.money, 9), it.requests)
            for key, it in bill.cells.items()}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "columns", "source", "expected"),
    [
        (OPENAI, {}, "OpenAI's usage",
         {("2024-11-01", "gpt-4.1-2025-04-14"): (200, 800, 0, 500, None, 5)}),
        (COSTS, {}, "OpenAI's costs", {("2024-11-01", ""): (0.1, None)}),
        (ANTHROPIC, {}, "Anthropic's usage",
         {("2026-11-01", "claude-haiku-5-5"): (1500, 200, 1500, 700, None, None)}),
        (CENTS, {}, "Anthropic's costs", {("2026-11-01", "claude-haiku-5-5"): (1.2345, None)}),
        (CONSOLE, {}, "Anthropic's console",
         {("2026-11-01", "claude-haiku-5-5"): (46981, 7, 16000, 16932, None, None)}),
        (OPENROUTER, {}, "OpenRouter's activity",
         {("2026-11-01", "openai/gpt-4.1"): (90, 60, 0, 30, 0.003, 2)}),
        (ACTIVITY, {}, "OpenRouter's activity",
         {("2026-11-01", "openai/gpt-4.1"): (50, 0, 0, 125, 0.015, 5)}),
        (OPENROUTER_PAGE, {}, "OpenRouter's activity",
         {("2026-05-12", "anthropic/claude-opus-4.7"): (70965665, 0, 0, 3009973, 430.07, 4115)}),
        (CONSOLE_COSTS, {}, "Anthropic's console",
         {("2026-03-15", "Claude Opus 4.6"): (2.0, None)}),
        (AZURE, AZURE_COLUMNS, "",
         {("2026-05-04", ""): (0.25, None), ("2026-05-14", ""): (0.5, None)}),
        (LITELLM, {}, "LiteLLM's spend logs", {("2026-11-01", "m"): (20, 10, 0, 4, 0.01, 1)}),
        ("\n".join(map(json.dumps, LITELLM * 2)), {}, "LiteLLM's spend logs",
         {("2026-11-01", "m"): (40, 20, 0, 8, 0.02, 2)}),
        (ONE_API, {}, "one-api's log", {("2026-11-01", "gpt-4"): (65, 100, 2, 10, 0.003, 2)}),
        (GERMAN, GERMAN_COLUMNS, "", {("2026-11-01", "m"): (1235, 0, 0, 13, 1235.0, None)}),
        ('Date,Model,Prompt Tokens,Completion Tokens,Spend ($)\n"Nov 1, 2026",m,10,2,$0.5\n',
         {"cost": "Spend ($)"}, "", {("2026-11-01", "m"): (10, 0, 0, 2, 0.5, None)}),
    ],
)  # fmt: skip
def test_each_known_form_is_read_by_its_own_columns(tmp_path, what, columns, source, expected):
    bill = read(saved(tmp_path, what), columns)
    assert (bill.source, sums(bill)) == (source, expected)


def test_what_a_bill_lacks_is_said_with_it(tmp_path):
    assert "further pages" in read(saved(tmp_path, COSTS)).notes[0]
    assert read(saved(tmp_path, GERMAN), GERMAN_COLUMNS).currency == "EUR"
    assert read(saved(tmp_path, ACTIVITY)).classes == ("input", "output")
    assert "1 entries of the log that are no calls" in read(saved(tmp_path, ONE_API)).notes[0]


def test_days_are_those_of_the_zone_that_is_named(tmp_path):
    hanoi = timezone(timedelta(hours=7))
    assert [*read(saved(tmp_path, LITELLM), zone=hanoi).cells] == [("2026-11-01", "m")]
    late = [LITELLM[0] | {"startTime": "2026-11-01T17:00:00Z"}]
    assert [*read(saved(tmp_path, late), zone=hanoi).cells] == [("2026-11-02", "m")]
    assert [*read(saved(tmp_path, OPENROUTER), zone=hanoi).days] == ["2026-11-01"] * 2


@pytest.mark.parametrize(
    ("dates", "days"),
    [(["5/4/2026", "5/14/2026"], ["2026-05-04", "2026-05-14"]),
     (["04/05/2026", "14/05/2026 10:00"], ["2026-05-04", "2026-05-14"])],
)  # fmt: skip
def test_a_number_above_12_tells_whether_the_month_stands_first(tmp_path, dates, days):
    text = "date,cost\n" + "".join(f"{date},1\n" for date in dates)
    assert [when for when, _ in read(saved(tmp_path, text)).cells] == days


def test_vectors_have_no_output(tmp_path):
    vectors = {"data": [{"start_time": 1730419200, "results": [
        {"input_tokens": 16, "num_model_requests": 2, "model": "text-embedding-3-small"}]}]}  # fmt: skip
    bill = read(saved(tmp_path, vectors))
    assert (bill.source, bill.classes) == ("OpenAI's usage", ("input",))


HEAD = "date,model,prompt_tokens,completion_tokens,cost\n2026-11-01,m,1,1,1\n"


@pytest.mark.parametrize(
    ("what", "columns", "words"),
    [
        (HEAD + "2026-11-01,m,ten,1,1\n", {}, "line 3, column prompt_tokens: 'ten' is no number"),
        (HEAD + "2026-11-01,m,-5,1,1\n", {}, "line 3, column prompt_tokens: '-5' is no number of"),
        (HEAD + "2026-11-01,m,1.5,1,1\n", {}, "line 3, column prompt_tokens"),
        (HEAD + "01/02/2026,m,1,1,1\n", {}, "line 3, column date: .* write it like 2026-01-31"),
        (HEAD + "13/02/2026,m,1,1,1\n01/14/2026,m,1,1,1\n", {}, "line 3, column date: .*2026-01-31"),
        (HEAD + "31/02/2026,m,1,1,1\n", {}, "line 3, column date: '31/02/2026' is no day"),
        (HEAD + ",m,1,1,1\n", {}, "line 3, column date holds no day"),
        (HEAD + '2026-11-01,m,1,1,"1,234"\n', {}, "column cost: .* thousands or a fraction"),
        (HEAD + "2026-11-01,m,1,1,€5\n", {}, "mixes EUR, USD"),
        (
            "date,cost,currency\n" + "".join(f"2026-11-01,1,{k}{'x' * 99}\n" for k in range(99)),
            {}, r"mixes [\dX, ]{79}…: take one",
        ),
        (HEAD + "2026-11-01,m,1,1,nan\n", {}, "column cost: 'nan' is no number"),
        (HEAD + "2026-11-01,m,1,1,1,1\n", {}, "line 3 has more columns"),
        (HEAD, {"cost": "Euro"}, "no column 'Euro': it has completion_tokens, cost, date"),
        (HEAD, {"price": "cost"}, "columns 'price=cost' says nothing"),
        ("a,b\n1,2\n", {}, "no column of days .* but a, b: .*--columns date=COLUMN"),
        ("date,model\n2026-11-01,m\n", {}, "neither columns of prompt and completion tokens"),
        ('{"a": 1}\n{"a"\n', {}, "line 2 is not JSON"),
        ("", {}, "holds no line of a bill"),
        ("[]", {}, "holds no line of a bill"),
        (HEAD.replace("cost", "cached_tokens").replace(",1\n", ",9\n"), {},
         "line 2: 9 cached tokens are more than the 1 in column prompt_tokens: .*input=COLUMN"),
        ([{"date": "2026-11-01", "prompt_tokens": 10**400, "completion_tokens": 1}], {},
         "entry 1, column prompt_tokens: .* out of bounds"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_its_line_and_column(tmp_path, what, columns, words):
    with pytest.raises(PlanError, match=words):
        read(saved(tmp_path, what), columns)


def test_what_is_no_file_of_text_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"can't read a bill from .*missing"):
        read(tmp_path / "missing")
    (tmp_path / "zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigError, match="zip archive"):
        read(tmp_path / "zip")


@pytest.mark.parametrize(
    ("text", "number"),
    [("1,234", 1234), ("1.234.567", 1234567), ("1 234", 1234), ("1'234", 1234), ("12.0", 12),
     ("1e3", 1000), (7, 7), (7.0, 7), ("\u00a05 ", 5)],
)  # fmt: skip
def test_tokens_as_people_write_them(text, number):
    assert tokens(text) == number


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [("$1,234.56", 1234.56, "USD"), ("1.234,56 €", 1234.56, "EUR"), ("0,0123", 0.0123, ""),
     ("(0.5)", -0.5, ""), ("-0.0001", -0.0001, ""), ("USD 3", 3.0, "USD"), ("4.5 eur", 4.5, "EUR"),
     ("1.5e-05", 1.5e-5, ""), ("25.000.000 ₫", 25e6, "VND"), ("0,123", 0.123, "")],
)  # fmt: skip
def test_money_as_people_write_it(text, amount, currency):
    assert money(text) == (amount, currency)


@given(st.integers(0, 10**15), st.sampled_from([",", ".", " ", "'", "\u202f"]))
def test_tokens_in_groups_are_those_without(number, mark):
    grouped = f"{number:,}".replace(",", mark)
    try:
        assert tokens(grouped) == number
    except ValueError as error:
        assert "thousands or a fraction" in str(error)  # noqa: PT017 - 1.000 may be one
        assert grouped.endswith(".000")


@given(st.decimals(-(10**9), 10**9, places=6))
def test_money_means_the_same_with_a_point_and_a_comma(amount):
    english = f"{amount:,.6f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert money(f"${english}") == (float(amount), "USD")
    assert money(f"{german} €") == (float(amount), "EUR")


@given(st.integers(946_800_000, 4_102_200_000), st.integers(-12, 14))
def test_a_moment_is_of_one_day_however_it_is_written(seconds, hours):
    zone, aware = timezone(timedelta(hours=hours)), datetime.fromtimestamp(seconds, UTC)
    expected = aware.astimezone(zone).date().isoformat()
    for written in (seconds, str(seconds), seconds * 1000, aware.isoformat(),
                    f"{aware:%Y-%m-%d %H:%M:%S} UTC", f"{aware:%Y-%m-%dT%H:%M:%SZ}"):  # fmt: skip
        assert day(written, zone) == expected


JSONS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["data", "results", "date", "start_time", "model", "input_tokens",
                         "output_tokens", "amount", "value", "cost", "other"]), inner, max_size=6),
    max_leaves=12,
)  # fmt: skip


@given(st.text() | JSONS.map(json.dumps) | st.binary().map(lambda raw: raw.decode("latin-1"))
       | st.text("date,cost\n\"'123;.-").map(lambda text: f"date,cost\n{text}"))  # fmt: skip
def test_whatever_a_file_holds_is_a_bill_or_a_sentence(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        bill = read(path)
    except HolymonError as error:
        assert "\x1b" not in str(error)  # noqa: PT017
    else:
        assert all(len(date) == 10 for date, _ in bill.cells)
        assert all(n >= 0 for it in bill.cells.values() for n in it.tokens.values())
