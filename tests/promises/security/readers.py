"""Every reader of a file that somebody may hand in, and what fuzzing writes for them."""

import json
from pathlib import Path

from hypothesis import strategies as st

from holymon.errors import HolymonError
from holymon.plan import prompts, replay_file, targets
from holymon.plan.plan import Plan
from holymon.records import journal, notes, run_folder
from holymon.records.frames import Frames
from holymon.report.index import write_index
from holymon.report.notebooks import check_parameters

PLAN = {"targets": [{"provider": "url", "model": "m", "base_url": "http://127.0.0.1:9/v1"}],
        "load": {"type": "closed", "users": 1}, "requests": 1}  # fmt: skip


def _in_run(name, read):
    def reads(folder: Path, data: bytes):
        run = folder / "x" / "20260101T000000Z"
        run.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(data)
        return read(run)

    return reads


def _file(name, read):
    def reads(folder: Path, data: bytes):
        (folder / name).write_bytes(data)
        return read(folder / name)

    return reads


READERS = {
    "plan.json": _in_run("plan.json", run_folder.read_plan),
    "a plan": lambda _, data: Plan.from_json(data),
    "state.json": _in_run("state.json", lambda run: run_folder.ending(run_folder.read_state(run))),
    "run.json": _in_run("run.json", lambda run: write_index(run.parent.parent)),
    "notes": _in_run("notes.0.jsonl", lambda run: (notes.messages(run), notes.request_ids(run))),
    "vitals": _in_run("vitals.0.jsonl", lambda run: journal.vitals(run).to_dict()),
    "a journal": lambda _, data: Frames().feed(data),
    "prompts": _file("prompts.jsonl", prompts.from_file),
    "times in JSON": _file("times.jsonl", replay_file.replay),
    "times in CSV": _file("times.csv", replay_file.replay),
    "targets.toml": _file("targets.toml", targets.providers_in),
    "a notebook": _file("n.ipynb", lambda path: check_parameters(path, {})),
}
SEEDS = {
    "plan.json": PLAN, "a plan": PLAN,
    "state.json": {"state": "finished", "started_at": "2026-01-01T00:00:00+00:00", "pid": 1,
                   "ended": "finished", "proxies": {}, "first_calls": [{"target": "a/b"}]},
    "run.json": {"targets": [{"target": "a/b", "requests": 1, "errors": {"x": 1},
                              "error_rate": {"value": 0.1}, "latency_s": {"p50": 1}}],
                 "verdict": {"measurement": "valid", "slo": [{"met": True}]},
                 "report": {"status": "ok", "started_at": "2026"}},
    "notes": {"request": 1, "target": 0, "error_type": "x", "status": 1, "message": "m",
              "code": "", "request_id": "i"},
    "vitals": {"t": 1, "lags": [0.1], "cpu": 0.1, "waited": None, "late": None, "pause": 0,
               "in_flight": 1, "rss_mb": 1},
    "a journal": {"holymon": 3, "worker": 0, "dtype": [["request", "<u4"]]},
    "prompts": {"prompt": "a"}, "times in JSON": {"timestamp": 1.5},
    "a notebook": {"cells": [{"cell_type": "code", "source": "a=1", "metadata": {"tags": ["parameters"]}}],
                   "metadata": {}, "nbformat": 4, "nbformat_minor": 5},
}  # fmt: skip

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from([10**400, -1, 10**19, 1e308, "9" * 400, [], {}, [[]], {"a": {}}, [None]]),
)  # fmt: skip


@st.composite
def written(draw, name):
    """Bytes for a reader: of a good file with one place in it changed, or of none."""
    seed = SEEDS.get(name)
    if seed is None or draw(st.integers(0, 4)) == 0:
        bad = [b"[" * 100_000, b'{"a":' * 50_000, b"1e999", b"9" * 5000, b"a = " + b"9" * 5000,
               b"\0" * 64, b"a = " + b"[" * 5000, b"[a]\nmodels = 3", b"[a.models]\nb = 1"]  # fmt: skip
        return draw(st.binary(max_size=64) | st.sampled_from(bad))
    value = json.loads(json.dumps(seed))
    at = value
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = draw(st.sampled_from(keys))
        if isinstance(at[key], (dict, list)) and at[key] and draw(st.booleans()):
            at = at[key]
            continue
        at[key] = draw(ODD)
        break
    return json.dumps(value).encode() + b"\n" * (name == "a journal") + draw(st.binary(max_size=8))


def reads(name: str, folder: Path, data: bytes) -> None:
    """Read: what is wrong is said in a sentence, and nothing else is raised."""
    try:
        READERS[name](folder, data)
    except HolymonError as error:
        if not str(error):
            raise AssertionError(f"no sentence for {data!r}") from None
