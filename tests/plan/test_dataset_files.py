"""Files that people have become requests, known by what is in them; what is wrong is one sentence.

The forms are those of https://platform.openai.com/docs/guides/batch, of its fine-tuning files,
https://docs.anthropic.com/en/api/creating-message-batches, ShareGPT_V3_unfiltered_cleaned_split.json,
https://docs.litellm.ai/docs/proxy/logging_spec and langfuse.com's blob-storage-export-fields.
"""

import gzip
import json
import os
import zlib
from itertools import count
from types import SimpleNamespace

import pytest

from holymon.errors import ConfigError, PlanError
from holymon.plan import dataset_files, given_file
from holymon.plan.dataset_files import read
from holymon.plan.dataset_forms import How
from holymon.plan.requests import Request
from holymon.records.datasets import dataset

HI = {"role": "user", "content": "hi"}
BRIEF = {"role": "system", "content": "be brief"}
ANSWER = {"role": "assistant", "content": "x" * 40}
PICTURE = {"role": "user", "content": [
    {"type": "text", "text": "What is it?"},
    {"type": "image_url", "image_url": {"url": "https://h/i.png", "detail": "low"}}]}  # fmt: skip


def lines(*entries) -> str:
    return "\n".join(json.dumps(entry) for entry in entries)


def asked(request: Request) -> list:
    """What the messages of a request are, whoever wrote them."""
    return [dict(message) for message in request.turns()]


FORMS = {
    "text": ("p.txt", "one\n\n two \n", "text", [Request("one"), Request("two")]),
    "a text with quotes": ("p.txt", '"Why?" she said\n[INST] go\n', "text",
                           [Request('"Why?" she said'), Request("[INST] go")]),
    "strings and objects": (
        "p.jsonl", '"one"\n{"prompt": "two", "id": 3}\n\n{"text": "three"}\n', "JSONL",
        [Request("one"), Request("two"), Request("three")]),
    "JSONL under any name": ("p", '{"prompt": "a\\nb"}\n"c"\n', "JSONL", [Request("a\nb"), Request("c")]),
    "a list": ("p.json", json.dumps(["one", {"prompt": "two"}], indent=1), "JSON",
               [Request("one"), Request("two")]),
    "messages, whose last is the answer": (
        "p.jsonl", lines({"messages": [BRIEF, HI, ANSWER], "temperature": 0, "id": 1}), "JSONL",
        [Request([BRIEF, HI], {"temperature": 0}, output_tokens=11)]),
    "a batch": (
        "p.jsonl",
        lines({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {
                  "model": "gpt-4.1", "messages": [BRIEF, PICTURE], "max_completion_tokens": 7,
                  "stream": True, "tools": [{"type": "function"}], "user": "u"}},
              {"custom_id": "b", "method": "POST", "url": "/v1/responses", "body": {
                  "model": "m", "max_output_tokens": 9, "input": [{"role": "user", "content": [
                      {"type": "input_text", "text": "What is it?"},
                      {"type": "input_image", "image_url": "https://h/i.png"}]}]}},
              {"custom_id": "c", "method": "POST", "url": "/v1/embeddings",
               "body": {"model": "m", "input": "words", "dimensions": 256}}),
        "a batch of OpenAI's",
        [Request([BRIEF, PICTURE], {"tools": [{"type": "function"}], "user": "u"}, 7),
         Request([{"role": "user", "content": [
             {"type": "text", "text": "What is it?"},
             {"type": "image_url", "image_url": {"url": "https://h/i.png"}}]}], max_tokens=9),
         Request("words", {"dimensions": 256})]),
    "a batch of Anthropic's": (
        "p.jsonl", lines({"custom_id": "a", "params": {
            "model": "m", "system": "be brief", "messages": [HI], "max_tokens": 7, "top_k": 2}}),
        "a batch of Anthropic's", [Request([BRIEF, HI], {"top_k": 2}, 7)]),
    "ShareGPT": (
        "p.json",
        json.dumps([
            {"id": "a_0", "conversations": [
                {"from": "gpt", "value": "Welcome."}, {"from": "human", "value": "hi"},
                {"from": "gpt", "value": "Hello."}, {"from": "human", "value": "go"},
                {"from": "gpt", "value": "x" * 40}]},
            {"id": "b_0", "conversations": [{"from": "gpt", "value": "only me"}]},
            {"id": "c_0", "conversations": [{"from": "human", "value": "hi"}]}]),
        "ShareGPT",
        [Request([HI, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "go"}],
                 output_tokens=11), Request([HI])]),
    "LiteLLM": (
        "p.json",
        json.dumps({"data": [
            {"request_id": "b", "call_type": "acompletion", "startTime": "2026-01-31T08:00:02.500Z",
             "model": "m", "messages": {}, "prompt_tokens": 30, "completion_tokens": 4},
            {"request_id": "a", "call_type": "acompletion", "startTime": "2026-01-31T08:00:00Z",
             "messages": json.dumps([HI]), "prompt_tokens": 3, "completion_tokens": 5,
             "model_parameters": {"temperature": 0.5, "stream": True, "max_tokens": 8}},
            {"request_id": "c", "call_type": "acompletion", "startTime": "2026-01-31T08:00:01Z",
             "messages": {}, "prompt_tokens": 0, "completion_tokens": 0, "status": "failure"}]}),
        "a log of LiteLLM's",
        [Request([HI], {"temperature": 0.5}, 8, 3, 5, at=1769846400.0),
         Request(prompt_tokens=30, max_tokens=4, output_tokens=4, at=1769846402.5)]),
    "Langfuse": (
        "p.jsonl",
        lines({"id": "1", "trace_id": "t", "type": "SPAN", "input": "x", "start_time": "2026-01-31 08:00:00"},
              {"id": "2", "trace_id": "t", "type": "GENERATION", "start_time": "2026-01-31 08:00:00.250000",
               "input": json.dumps([BRIEF, HI]), "output": "ho", "model_parameters": '{"top_p": 0.9}',
               "usage_details": {"input": 9, "output": 2, "total": 11}},
              {"id": "3", "trace_id": "t", "type": "GENERATION", "start_time": "2026-01-31 08:00:01",
               "input": None, "usage_details": {"input": 90, "output": 20}}),
        "an export of Langfuse's",
        [Request([BRIEF, HI], {"top_p": 0.9}, None, 9, 2, at=1769846400.25),
         Request(prompt_tokens=90, max_tokens=20, output_tokens=20, at=1769846401.0)]),
    "CSV": ("p.csv", 'id,question\n1,"a\nb"\n2,c\n3,\n', "CSV", [Request("a\nb"), Request("c")]),
    "CSV under any name": ("p", "id\tprompt\n1\ta\n", "CSV", [Request("a")]),
    "CSV of Langfuse": (
        "p.csv", 'id,traceId,type,input,startTime\n1,t,GENERATION,"[{""role"": ""user"", '
        '""content"": ""hi""}]",2026-01-31T08:00:00Z\n', "an export of Langfuse's",
        [Request([HI], at=1769846400.0)]),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FORMS)
def test_a_file_is_known_by_what_is_in_it(tmp_path, name, packed):
    file, text, kind, expected = FORMS[name]
    path = tmp_path / (f"{file}.gz" if packed else file)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    made = read(path)
    assert (made.kind, made.source) == (kind, path.name)
    assert [asked(request) for request in made] == [asked(request) for request in expected]
    for field in ("body", "max_tokens", "prompt_tokens", "output_tokens", "at"):
        assert [getattr(r, field) for r in made] == [getattr(r, field) for r in expected], field


@pytest.mark.parametrize(
    ("name", "left", "timed"),
    [
        ("ShareGPT", "1 without a word of a person", False),
        ("LiteLLM", "1 with neither a text nor a number of tokens", True),
        ("Langfuse", "1 no generations", True),
        ("CSV", "", False),
    ],
)
def test_what_is_left_out_is_said_and_arrivals_are_kept(tmp_path, name, left, timed):
    file, text, *_ = FORMS[name]
    (tmp_path / file).write_text(text)
    made = read(tmp_path / file)
    assert (made.left_out, made.timed) == (left, timed)
    if timed:
        assert made.replay(speed=0.5).times == (0.0, 2 * (made[1].at - made[0].at))
    else:
        with pytest.raises(PlanError, match="does not say when its requests came"):
            made.replay()


@pytest.mark.parametrize(
    ("name", "text", "column", "wrong"),
    [
        ("p.jsonl", '"fine"\nnot json\n', "", r"p\.jsonl, line 2 is not JSON: write"),
        *(("p.jsonl", f'"fine"\n{line}\n', "", r"p\.jsonl, line 2 is (no request|not JSON): ")
          for line in ("3", "[]", '{"prompt": 3}', '""', "{}", "null", '{"prompt": ["a"]}',
                       '{"messages": [{"content": "a"}]}', '{"messages": [{"role": "user"}]}',
                       '{"custom_id": "a", "body": {"model": "m"}}', '{"custom_id": "a", "body": 3}',
                       '{"conversations": {}}',
                       "[" * 100_000)),
        ("p.json", "{oops", "", r"p\.json is not JSON: write a list"),
        ("p.json", "[]", "", r"p\.json holds no request"),
        ("p.txt", " \n\n", "", r"p\.txt holds no request: write one a line"),
        ("p.csv", "prompt,text\na,b\n", "", r"several columns that may be it \(prompt, text\): name"),
        ("p.csv", "id,words\n1,a\n", "", r"no column named .*, but id, words: name the one"),
        ("p.csv", "id,words\n1,a\n", "word", r"has no column 'word': it has id, words"),
        ("p.csv", "id,prompt\n1,\n", "", r"p\.csv holds no request"),
        ("p.csv", "", "", r"p\.csv has no column named"),
        ("p.txt", "a\nb\n", "prompt", r"p\.txt has no column 'prompt'"),
        ("p.jsonl", '{"a": "x"}\n{"b": "y"}\n', "a", r"line 2 is no request: .* a field 'a'"),
        ("p.json", '[{"conversations": [{"from": "gpt", "value": "a"}]}]', "",
         r"holds no request \(1 without a word of a person\)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place_and_the_mend(tmp_path, name, text, column, wrong):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(PlanError, match=wrong) as caught:
        read(path, How(column))
    assert "\n" not in str(caught.value)


def test_a_column_or_a_field_may_be_named(tmp_path):
    (tmp_path / "p.csv").write_text("prompt,text\na,b\n")
    (tmp_path / "p.jsonl").write_text('{"prompt": "a", "ask": "b"}\n')
    assert [r.messages for r in read(tmp_path / "p.csv", How("text"))] == ["b"]
    assert [r.messages for r in read(tmp_path / "p.jsonl", How("ask"))] == ["b"]


def test_line_separators_and_marks_inside_a_file_are_no_lines(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('"one\u2028two\x85three"\n', encoding="utf-8-sig")
    assert [r.messages for r in read(path)] == ["one\u2028two\x85three"]


def test_what_can_not_be_read_is_one_sentence(tmp_path):
    large = tmp_path / "large.jsonl"
    with large.open("wb") as file:
        file.truncate(given_file.MOST_BYTES + 1)
    with pytest.raises(ConfigError, match=r"is over 256 MB: take a part of it \(of .jsonl"):
        read(large)
    for data, wrong in (
        (b"PK\x03\x04", "is a zip archive: unpack it first"),
        (b"\x28\xb5\x2f\xfd", "is packed by zstd"),
        (gzip.compress(b'"a"\n')[:-9], "ends too early"),
        (gzip.compress(b'"a"\n' * 99)[:12] + b"xxxxxxxx", "is no gzip file, or damaged|too early"),
    ):
        (tmp_path / "p").write_bytes(data)
        with pytest.raises(ConfigError, match=wrong):
            read(tmp_path / "p")
    with pytest.raises(ConfigError, match="can't read requests from"):
        read(tmp_path / "none")


def test_a_bomb_of_gzip_is_not_unpacked(tmp_path):
    pack = zlib.compressobj(9, wbits=31)
    bomb = b"".join(pack.compress(bytes(1 << 20)) for _ in range(8)) + pack.flush()
    with pytest.raises(ConfigError, match="unpacks to over 4 MB: take a part of it"):
        dataset_files.unpacked(tmp_path, bomb, 4 << 20)
    with pytest.raises(ConfigError, match="unpacks to over"):
        dataset_files.unpacked(tmp_path, gzip.compress(bytes(1 << 19)) * 9, 4 << 20)


def test_a_file_of_very_many_values_is_not_taken_apart(tmp_path):
    with pytest.raises(ConfigError, match="holds over 20,000,000 values: take a part of it"):
        dataset_files.of_data(tmp_path / "x.json", b"[" + b"," * 20_000_000 + b"\n]")


def test_a_key_in_a_body_is_not_kept(tmp_path):
    path = tmp_path / "b.jsonl"
    path.write_text(
        lines({"custom_id": "a", "body": {"messages": [HI], "api_key": "sk-0123456789abcdef01"}})
    )
    with pytest.raises(PlanError, match="its body holds a key in 'api_key': take it out") as caught:
        read(path)
    assert "0123" not in str(caught.value)


def test_what_a_cache_is_told_is_sent_on_and_is_no_key(tmp_path):
    """Of a recorded body beside other things, too: without it the cache would behave otherwise."""
    told = {"prompt_cache_key": "a81bc81b-dead-4e5d-abff-90865d1e13b1", "service_tier": "flex",
            "prompt_cache_retention": "24h"}  # fmt: skip
    path = tmp_path / "b.jsonl"
    for entry in ({"messages": [HI], **told, "user": "ann"},
                  {"custom_id": "a", "body": {"messages": [HI], **told}}):  # fmt: skip
        path.write_text(lines(entry))
        assert read(path)[0].body == told


def test_a_list_in_python_is_as_good_as_a_file():
    made = dataset(["hi", [BRIEF, HI], {"prompt": "x", "max_tokens": 3}, Request(prompt_tokens=9)])
    assert [asked(r) for r in made][:3] == [[HI], [BRIEF, HI], [{"role": "user", "content": "x"}]]
    assert [(r.max_tokens, r.prompt_tokens) for r in made][2:] == [(3, None), (None, 9)]
    assert (len(made), made.unlimited, made.limits, made.own) == (4, 3, 3, True)
    assert made == dataset(list(made))
    for wrong, said in (
        ([], "the list holds no request"),
        ([3], "the list, entry 1 is no request"),
    ):
        with pytest.raises(PlanError, match=said):
            dataset(wrong)


def test_a_dataset_shows_how_much_it_is_and_how_it_begins():
    made = dataset(["a <b>", {"prompt": "y" * 500, "max_tokens": 9}])
    page = made._repr_html_()
    assert "a &lt;b&gt;" in page
    assert "1 with a limit, 9 on average" in page
    assert repr(made) == "<Dataset 2 requests (list), of about 63 tokens each>"
    assert repr(dataset(["one"])) == "<Dataset 1 request (list), of about 1 token each>"
    assert repr(made[1]) == f"<Request '{'y' * 59}…'>"
    assert "y" * 600 not in page


def test_a_pipe_is_waited_for_from_its_last_piece_on(tmp_path, monkeypatch):
    """However long it takes in all: what a command makes may be long in coming."""
    pipe, clock, pieces = tmp_path / "pipe", count(step=20), [b"first\n", b"second\n", b"third\n"]
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)

    def select(reading, *_):
        """Time passes until the next piece, or the end, is there."""
        if pieces:
            os.write(writer, pieces.pop(0))
        else:
            os.close(writer)
        return reading, [], []

    monkeypatch.setattr(given_file, "monotonic", lambda: next(clock))
    monkeypatch.setattr(given_file, "select", SimpleNamespace(select=select))
    assert given_file.raw(pipe) == b"first\nsecond\nthird\n"
