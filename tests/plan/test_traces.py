"""Published traces are asked when and as long as they say; units are known or asked for.

The forms are those of kvcache-ai/Mooncake (FAST25-release/traces), docs.nvidia.com/aiperf (Trace
Replay with Mooncake Traces), alibaba-edu/qwen-bailian-usagetraces-anon, HPMLL/BurstGPT v1.1,
Azure/AzurePublicDataset (AzureLLMInferenceTrace_conv.csv of 2023 and 2024) and microsoft/vidur.
"""

import gzip
import json

import numpy as np
import pytest

from holymon.errors import PlanError
from holymon.plan.dataset import dataset_of
from holymon.plan.plan import Open, Plan
from holymon.plan.prompts import Prompts
from holymon.plan.requests import Request
from holymon.plan.targets import target
from holymon.records.datasets import dataset

RNG = np.random.default_rng(1)
N = 300
MILLIS = np.cumsum(RNG.integers(0, 4000, N))
SIZES = RNG.integers(1, 8000, (N, 2))


def jsonl(entries) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def mooncake() -> str:
    return jsonl({"timestamp": int(t), "input_length": int(p), "output_length": int(o),
                  "hash_ids": list(range(-(-int(p) // 512)))}
                 for t, (p, o) in zip(MILLIS, SIZES, strict=True))  # fmt: skip


def bailian() -> str:
    return jsonl({"chat_id": k, "parent_chat_id": -1, "timestamp": t / 1000, "input_length": int(p),
                  "output_length": int(o), "type": "text", "turn": 1,
                  "hash_ids": list(range(-(-int(p) // 16)))}
                 for k, (t, (p, o)) in enumerate(zip(MILLIS, SIZES, strict=True)))  # fmt: skip


def burst() -> str:
    rows = [f"{t / 1000:g},ChatGPT,{p},{o},{p + o},Conversation log"
            for t, (p, o) in zip(MILLIS, SIZES, strict=True)]  # fmt: skip
    failed = ["7,GPT-4,123,0,123,API log", "9,GPT-4,5,0,5,API log"]
    head = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"
    return "\n".join([head, *rows, *failed])


def azure(zone: str) -> str:
    whole = np.datetime64("2023-11-16T18:17:03") + MILLIS.astype("timedelta64[ms]")
    rows = [f"{str(at).replace('T', ' ')}{'' if zone else '9600'}{zone},{p},{o}"
            for at, (p, o) in zip(whole, SIZES, strict=True)]  # fmt: skip
    return "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "\n".join(rows)


def vidur() -> str:
    rows = [f"{t / 1000},{p},{o}" for t, (p, o) in zip(MILLIS, SIZES, strict=True)]
    return "arrived_at,num_prefill_tokens,num_decode_tokens\n" + "\n".join(rows)


def said(prompts: Prompts, number: int) -> list[str]:
    """The words of a request."""
    return prompts.messages(prompts.request(number), number)[0]["content"].split()


TRACES = {
    "Mooncake's": ("mooncake_trace.jsonl", mooncake()), "Bailian's": ("qwen_traceA.jsonl", bailian()),
    "BurstGPT's": ("BurstGPT_1.csv", burst()), "Azure's of 2023": ("conv.csv", azure("")),
    "Azure's of 2024": ("conv_1week.csv", azure("+00:00")), "Vidur's": ("trace.csv", vidur()),
}  # fmt: skip


@pytest.mark.parametrize("name", TRACES)
def test_arrivals_and_lengths_are_those_of_the_file(tmp_path, name):
    file, text = TRACES[name]
    (tmp_path / file).write_text(text)
    made = dataset(tmp_path / file)
    assert made.kind == f"a trace of {name.partition(' ')[0]}"
    assert [(r.prompt_tokens, r.max_tokens) for r in made] == [
        tuple(pair) for pair in SIZES.tolist()
    ]
    times = np.array(made.replay().times)
    assert np.abs(times - (MILLIS - MILLIS[0]) / 1000).max() < 2e-6
    assert np.array(made.replay(speed=4).times)[-1] == pytest.approx(times[-1] / 4, abs=1e-5)
    assert not made.own
    assert made.left_out == ("2 without an answer" if name.startswith("Burst") else "")
    # What is sent: so many words, and the limit; the k-th call is due at the k-th time.
    prompts = Prompts(dataset=made)
    assert [len(said(prompts, k)) for k in (0, 7)] == SIZES[[0, 7], 0].tolist()
    plan = Plan(targets=(target("sim/fast"),), load=Open(made.replay(speed=1000)), prompts=prompts)
    assert plan.due() == pytest.approx(times / 1000, abs=1e-6)


def test_blocks_of_mooncake_are_common_beginnings():
    lines = [{"timestamp": 0, "input_length": 1100, "output_length": 9, "hash_ids": [0, 1, 2]},
             {"timestamp": 3052, "input_length": 1200, "output_length": 9, "hash_ids": [0, 1, 28]},
             {"timestamp": 3052, "input_length": 600, "output_length": 9, "hash_ids": [0, 42]}]  # fmt: skip
    prompts = Prompts(dataset=dataset(lines))
    one, two, three = (said(prompts, k) for k in range(3))
    assert (one[:1024], one[:512]) == (two[:1024], three[:512])
    assert one[1024:1034] != two[1024:1034]
    assert one[512:520] != three[512:520]


def test_aiperf_may_bring_the_text_itself():
    given = dataset([{"timestamp": 0, "text_input": "Hello?", "output_length": 5},
                     {"timestamp": 1500, "messages": [{"role": "user", "content": "hi"}], "output_length": 6},
                     {"timestamp": 2500.5, "input_length": 40, "output_length": 7, "session_id": "a"}])  # fmt: skip
    assert [(r.text, r.max_tokens, r.at) for r in given] == [
        ("Hello?", 5, 0.0), ("hi", 6, 1.5), ("", 7, 2.5005)]  # fmt: skip


@pytest.mark.parametrize(("unit", "seconds"), [("ms", 1.5), ("s", 1500.0)])
def test_a_unit_that_nobody_says_is_asked_for(tmp_path, unit, seconds):
    path = tmp_path / "t.csv"
    path.write_text("timestamp,prompt_tokens,output_tokens\n0,9,1\n1500,8,2\n")
    with pytest.raises(PlanError, match=r"line 2 .* no unit: say which with --trace-unit s or ms"):
        dataset(path)
    assert dataset(path, unit=unit).replay().times == (0.0, seconds)
    with pytest.raises(PlanError, match="trace-unit 'h' is none: write s, ms, us, ns"):
        dataset(path, unit="h")


def test_pairs_of_lengths_need_no_times(tmp_path):
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress(b"input_tokens,output_tokens\n9,1\n8,2.0\n"))
    made = dataset(tmp_path / "p.csv.gz")
    assert [(r.prompt_tokens, r.max_tokens, r.at) for r in made] == [(9, 1, None), (8, 2, None)]
    assert not made.timed


def test_a_part_is_taken_and_the_rest_is_said():
    made = dataset_of([Request("x", at=at) for at in (5.0, 6.0, 7.5, 15.0)], timed=True)
    part = made.window(1, 10)
    assert (part.replay().times, part.left_out) == ((0.0, 1.5), "2 outside of the window")
    for wrong, said in (
        ((20, 30), "holds no request"),
        ((3, 3), "ends before"),
        ((-1, 3), "ends before"),
    ):
        with pytest.raises(PlanError, match=f"trace-window {said}"):
            made.window(*wrong)
    with pytest.raises(PlanError, match="speed is 0: it must be above 0"):
        made.replay(speed=0)
    long = dataset_of([Request("x", at=at) for at in (0.0, 1e7)], timed=True)
    with pytest.raises(PlanError, match="take a part of it: --trace-window"):
        long.replay()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"timestamp": "soon", "input_length": 5, "output_length": 5}, "'?soon'? is no time"),
        ({"timestamp": 0, "input_length": "many", "output_length": 5}, "input_length is no number"),
        (
            {"timestamp": 0, "input_length": 5, "output_length": 5, "hash_ids": ["a"]},
            "hash_ids are no list",
        ),
        ({"timestamp": 0, "text_input": 5, "output_length": 5}, "text_input is no text"),
        ({"timestamp": 0, "input_length": 10**12, "output_length": 5}, "input_length is no number"),
    ],
)
def test_a_line_of_a_trace_that_can_not_be_is_named(entry, said):
    with pytest.raises(PlanError, match=f"entry 1 is no request: {said}"):
        dataset([entry])
