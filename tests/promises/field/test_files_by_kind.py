"""Files of requests as applications, datasets and other tools write them, and a part of a huge one."""

import base64
import gzip
import json
from pathlib import Path

import duckdb
import pytest

import holymon as hm
from holymon.errors import ConfigError, PlanError
from holymon.plan import dataset_files, sample
from holymon.plan.replay_file import epoch_unit, replay


def user(text):
    return {"role": "user", "content": text}


def written(folder, name, *rows):
    path = folder / name
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


FORMS = [
    # source, entry, what it is taken for, text of its first request, longest answer, turns
    ("ai.google.dev, batch-api", {"key": "r1", "request": {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 11}}},
     "a batch of Gemini's", "Hi", 11, 1),
    ("cloud.google.com, Vertex batch prediction", {"request": {"systemInstruction": {"parts": [{"text": "S"}]},
     "contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Yo"}]},
                  {"role": "user", "parts": {"text": "B"}}]}}, "a batch of Gemini's", "S\n\nHi\n\nYo\n\nB", None, 1),
    ("tatsu-lab/stanford_alpaca", {"instruction": "Sum up", "input": "a text", "output": "o"}, "Alpaca",
     "Sum up\n\na text", None, 1),
    ("ShareGPT, its first form", {"id": "x", "items": [{"from": "user", "value": "Hi"},
                                                       {"from": "bard", "value": "Yo"}]}, "ShareGPT", "Hi", None, 1),
    ("docs.nvidia.com/aiperf, Inputs JSON Replay", {"session_id": "s", "payloads": [
        {"model": "m", "messages": [user("Hi")], "max_tokens": 6},
        {"model": "m", "messages": [user("Hi"), {"role": "assistant", "content": "Yo"}, user("B")]}]},
     "sessions of requests", "Hi", 6, 2),
    ("text-generation-inference, /generate", {"inputs": "Hi", "parameters": {"max_new_tokens": 20}},
     "requests of TGI's", "Hi", 20, 1),
    ("docs.helicone.ai, export", {"createdAt": "2026-01-01T00:00:00Z", "request_body": json.dumps(
        {"messages": [user("Hi")], "max_tokens": 3}), "response_body": "{}"}, "requests with their answers", "Hi", 3, 1),
    ("portkey.ai, Logs Export", {"request": {"url": "/v1/chat/completions", "body": {"messages": [user("Hi")]}},
                                 "response": {"status": 200}}, "requests with their answers", "Hi", None, 1),
    ("docs.nvidia.com/aiperf, Trace Replay", {"timestamp": 0, "payload": {"messages": [user("Hi")], "max_tokens": 5}},
     "a trace of AIPerf's", "Hi", 5, 1),
    ("docs.aws.amazon.com/sagemaker, data capture", {"captureData": {"endpointInput": {"encoding": "BASE64", "data":
        base64.b64encode(json.dumps({"messages": [user("Hi")], "max_tokens": 5}).encode()).decode()}},
        "eventMetadata": {"inferenceTime": "2026-04-29T00:03:18Z"}}, "what SageMaker captured", "Hi", 5, 1),
    ("docs.aws.amazon.com/bedrock, invocation log", {"schemaType": "ModelInvocationLog", "modelId": "m",
        "timestamp": "2026-03-01T10:00:00Z", "input": {"inputBodyJson": {"system": [{"text": "S"}], "messages": [
            {"role": "user", "content": [{"text": "Hi"}]}], "inferenceConfig": {"maxTokens": 64}}}},
     "a log of Bedrock's", "S\n\nHi", 64, 1),
    ("platform.openai.com, batch of responses", {"custom_id": "1", "url": "/v1/responses", "body": {
        "instructions": "S", "input": "Hi", "max_output_tokens": 20}}, "a batch of OpenAI's", "S\n\nHi", 20, 1),
    ("hiyouga/LLaMA-Factory, sharegpt", {"conversations": [{"from": "human", "value": "Hi"}], "system": "S"},
     "ShareGPT", "S\n\nHi", None, 1),
    ("huggingface.co/docs/dataset-viewer, rows", {"row_idx": 0, "row": {"prompt": "Hi"}, "truncated_cells": []},
     "JSONL", "Hi", None, 1),
    ("docs.vllm.ai, custom dataset", {"prompt": "Hi", "output_tokens": 80}, "JSONL", "Hi", 80, 1),
    ("openai/gsm8k", {"question": "Hi", "answer": "x"}, "JSONL", "Hi", None, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "entry", "kind", "text", "limit", "turns"), FORMS, ids=lambda v: str(v)[:24]
)
def test_an_entry_is_taken_for_what_it_is(tmp_path, source, entry, kind, text, limit, turns):
    found = hm.dataset(written(tmp_path, "a.jsonl", entry))
    first = found[0]
    assert (found.kind, first.text, first.max_tokens, found.turns) == (kind, text, limit, turns)


WEATHER = {"type": "function", "function": {"name": "weather"}}
BESIDE = [
    # docs.nvidia.com/aiperf (tools and extra of a trace); langfuse.com and docs.litellm.ai (what was sent)
    ({"timestamp": 0, "messages": [user("Hi")], "tools": [WEATHER], "extra": {"routing": "fast"}, "output_length": 5},
     {"tools": [WEATHER], "routing": "fast"}),
    ({"timestamp": 0, "input_length": 9, "output_length": 5, "extra": {"nvext": {"priority": 9}}},
     {"nvext": {"priority": 9}}),
    ({"traceId": "t", "input": {"messages": [user("Hi")], "tools": [WEATHER]}, "modelParameters": {"temperature": 1}},
     {"tools": [WEATHER], "temperature": 1}),
    ({"call_type": "acompletion", "messages": {}, "proxy_server_request": json.dumps(
        {"model": "m", "messages": [user("Hi")], "tools": [WEATHER]})}, {"tools": [WEATHER]}),
    ({"schemaType": "ModelInvocationLog", "modelId": "m", "input": {"inputTokenCount": 12}}, {}),
    ({"trace_id": "t", "usage_details": {"input": 7, "output": 9}, "start_time": "2026-05-29 13:46:19"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "body"), BESIDE, ids=lambda v: str(v)[:24])
def test_what_was_sent_beside_the_words_is_sent_again(tmp_path, entry, body):
    assert hm.dataset(written(tmp_path, "a.jsonl", entry))[0].body == body


def test_what_is_known_by_no_field_is_told_with_its_fields_and_the_option(tmp_path):
    path = written(tmp_path, "a.jsonl", {"ask": "Hi", "id": 1})
    with pytest.raises(PlanError, match=r"name one of its own with --column \(ask, id\)"):
        hm.dataset(path)
    assert hm.dataset(path, column="ask")[0].text == "Hi"


@pytest.mark.parametrize(
    ("number", "unit"), [(1_700_000_000.5, "s"), (1.7e12, "ms"), (1.7e15, "us"), (1.7e18, "ns"), (61.1, ""), (9e5, "")]
)  # fmt: skip
def test_a_moment_since_1970_has_its_unit(number, unit):
    assert epoch_unit(number) == unit


def test_a_moment_in_another_unit_than_a_trace_has_is_asked_for(tmp_path):
    """kvcache-ai/Mooncake counts milliseconds; a trace written by others from `time.time()` does not."""
    rows = [{"timestamp": 1.7e9 + at, "input_length": 9, "output_length": 5} for at in (0.5, 1.0)]
    path = written(tmp_path, "a.jsonl", *rows)
    with pytest.raises(PlanError, match="looks like s since 1970, but Mooncake's traces count ms"):
        hm.dataset(path)
    assert hm.dataset(path, unit="s").replay().times == (0.0, 0.5)
    with pytest.raises(PlanError, match="looks like ms since 1970, not seconds: give speed=1000"):
        replay([1.7e12, 1.7e12 + 500])
    assert replay([1.7e12, 1.7e12 + 500], speed=1000).times == (0.0, 0.5)


LATER, NEXT = "9:19:26.891\u202fAM", "9:19:27.391 AM"
DATES = [
    # three dates half a second and a day apart, as they are read
    (["2/25/2025, 9:19:25.391 AM", f"2/25/2025, {LATER}", f"2/26/2025, {NEXT}"], (0, 1.5, 86402.0)),
    (["25/2/2025 9:19:25.391", "25/02/2025, 9:19:26.891", "26/2/2025 9:19:27.391"], (0, 1.5, 86402.0)),
    (["2/1/2025, 1:00:00 AM", "1/12/2025, 9:00:00 AM", "1/11/2025, 9:00:00 PM"], (0, 43200.0, 1742400.0)),
    (["1/2/2025, 12:00:00 AM", "1/2/2025, 12:00:01 PM", "1/2/2025, 1:00 p.m."], (0, 43201.0, 46800.0)),
    # Excel in the USA, Germany and the Netherlands; browsers in Japan, China, Korea and Vietnam
    (["2/25/25 9:19:25", "2/25/25 9:19:27", "2/26/25 9:19"], (0, 2.0, 86375.0)),
    (["01.02.2025, 09:19:25,391", "01.02.2025, 09:19:26,891", "02.02.2025, 09:19:25,391"], (0, 1.5, 86400.0)),
    (["25-02-2025 09:19:25", "25-02-2025 09:19:26", "26-02-2025 09:19:25"], (0, 1.0, 86400.0)),
    (["2025/2/1 9:19:25", "2025/2/1 9:19:26", "2025/2/2 9:19:25"], (0, 1.0, 86400.0)),
    (["2025/2/1 上午12:19:25", "2025/2/1 下午12:19:25", "2025. 2. 2. 오후 1:19:25"], (0, 43200.0, 133200.0)),
    (["09:19:25 25/2/2025", "09:19:26 25/2/2025", "9:19:25 SA 26/2/2025"], (0, 1.0, 86400.0)),
    (["2/25/2025 9:19:25 AM +01:00", "2/25/2025 8:19:27 AM Z", "2/25/2025 8:19:28 AM UTC"], (0, 2.0, 3.0)),
    (["\u200e2/\u200e25/\u200e2025 9:19:25 AM", "2/25/2025 9:19:26 AM", "2/25/2025 9:19:27 a. m."], (0, 1.0, 2.0)),
    (["11/1/2025, 21:00:00", "12/1/2025, 9:00:00", "1/2/2025, 1:00:00"], (0, 43200.0, 1742400.0)),
]  # fmt: skip


def portal(path, dates):
    """A gateway's log as Azure's portal exports it: texts stand in lines apart from the sizes."""
    rows = [f'"{at}",{"9,5" if n else ","},gpt' for n in (0, 1) for at in dates]
    path.write_text('"TimeGenerated [UTC]",PromptTokens,CompletionTokens,ModelName\n' + "\n".join(
        rows if len(dates) < 2 else [rows[0], *rows[len(dates):]]), encoding="utf-8")  # fmt: skip
    return path


@pytest.mark.parametrize(("dates", "times"), DATES, ids=lambda v: str(v[0]))
def test_dates_of_azures_portal_are_read_where_month_and_day_are_told_apart(tmp_path, dates, times):
    """learn.microsoft.com, ApiManagementGatewayLlmLog, as Log Analytics exports it to CSV."""
    path = portal(tmp_path / "query_data.csv", dates)
    found = hm.dataset(path)
    assert (found.kind, len(found), found.left_out) == ("a trace of Azure's", 3, "1 without sizes")
    assert [request.at - found[0].at for request in found] == pytest.approx(times)
    if times[-1] < 7 * 86400:
        assert found.replay().times == pytest.approx(times)
    assert [(request.prompt_tokens, request.max_tokens) for request in found] == [(9, 5)] * 3


@pytest.mark.parametrize(("dates", "words"), [
    (["1/2/2025, 9:00:00 AM", "2/2/2025, 9:00:00 AM"], "the month or the day stands first in 1/2/2025, 9:00:00 AM"),
    (["13/2/2025, 9:00:00 AM", "2/13/2025, 9:00:00 AM"], "no way to read all of its dates"),
    (["1/2/2025, 13:00:00 AM"], "no way to read all of its dates, of which 1/2/2025, 13:00:00 AM is none"),
])  # fmt: skip
def test_dates_that_may_be_read_in_two_ways_are_asked_for(tmp_path, dates, words):
    path = portal(tmp_path / "a.csv", dates)
    for read in (hm.dataset, replay):
        with pytest.raises(PlanError, match=words):
            read(path)


TABLES = [
    ("HPMLL/BurstGPT, kept by Excel in German", "Timestamp;Model;Request tokens;Response tokens\r\n"
     "5,5;gpt;472;18\r\n45,25;gpt;1087;230\r\n"),
    ("Excel's own first line", 'sep=;\r\nTimestamp;Request tokens;Response tokens\r\n1;472;18\r\n40,75;"1,087";230'),
]  # fmt: skip


@pytest.mark.parametrize(("source", "text"), TABLES, ids=lambda v: v[:20])
def test_what_spreadsheets_make_of_a_table_is_read(tmp_path, source, text):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8-sig")
    found = hm.dataset(path)
    assert [request.prompt_tokens for request in found] == [472, 1087]
    assert found.replay().times == replay(path).times == (0.0, 39.75)


def test_a_workbook_is_called_that(tmp_path):
    (path := tmp_path / "a.csv").write_bytes(b"PK\3\4" + b"\0" * 26 + b"[Content_Types].xml")
    with pytest.raises(ConfigError, match="is an Excel workbook: save it as CSV UTF-8"):
        hm.dataset(path)


NUMBER, PART = 5000, 500


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The same requests as .jsonl, packed by gzip, and Parquet."""
    folder: Path = tmp_path_factory.mktemp("large")
    path = folder / "a.jsonl"
    lines = "".join(f'{{"prompt": "{n}"}}\n\n' for n in range(NUMBER)).encode()
    path.write_bytes(b"\xef\xbb\xbf" + lines)
    half = len(lines) // 2
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines[:half]) + gzip.compress(lines[half:]))
    duckdb.sql(
        f"copy (select i::varchar as prompt from range({NUMBER}) t(i)) to '{folder}/a.parquet'"
    )
    return folder


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_a_sample_is_drawn_evenly_without_reading_all_at_once(large, name, monkeypatch):
    monkeypatch.setattr(dataset_files, "content", None)
    found = hm.dataset(large / name, sample=PART)
    numbers = sorted(int(request.text) for request in found)
    assert (len({*numbers}), found.left_out) == (PART, f"{NUMBER - PART:,} outside of the sample")
    assert abs(sum(numbers) / PART - NUMBER / 2) < 0.05 * NUMBER  # 1.6 % of it is one deviation
    assert [r.text for r in found] == [r.text for r in hm.dataset(large / name, sample=PART)]


def test_a_sample_of_more_than_there_is_is_all_of_it():
    found = hm.dataset(["a", "b", "c"], sample=9)
    assert ([request.text for request in found], found.left_out) == (["a", "b", "c"], "")


def test_a_sample_has_bounds_and_tears_nothing_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "MOST_LINE", 99)
    with pytest.raises(ConfigError, match="past all bounds"):
        hm.dataset(written(tmp_path, "a.jsonl", {"prompt": "x" * 999}), sample=1)
    damaged = tmp_path / "b.jsonl.gz"
    damaged.write_bytes(gzip.compress(b'{"prompt": "x"}\n')[:-6])
    with pytest.raises(ConfigError, match="can't read requests"):
        hm.dataset(damaged, sample=1)
    session = {"session_id": "s", "timestamp": 0, "input_length": 9, "output_length": 5}
    with pytest.raises(PlanError, match="would tear its conversation apart"):
        hm.dataset(written(tmp_path, "c.jsonl", session), sample=1, conversations=True)
