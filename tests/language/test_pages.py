"""What a report shows in Vietnamese has no English left over, but for names and servers' words."""

import re
from functools import cache

import pytest
from babel.messages.pofile import read_po

import holymon as hm
from holymon.experiments.capacity import Capacity, LoadLevel
from holymon.language.catalogue import FOLDER
from holymon.language.said import shown as said
from holymon.language.said import speaking
from holymon.report import digest, health
from holymon.report.sections import Section
from holymon.report.subject import Subject
from tests.visible import visible, words

NAMES = {
    "holymon", "ttft", "ttfo", "itl", "tpot", "usd", "max", "poisson", "json", "goodput", "run",
    "icl", "etc", "duration", "sim", "fast", "flaky", "input", "output", "source", "invented",
    "for", "the", "simulator", "date", "seed", "openrouter", "uptime", "vllm", "bench", "guidellm",
    "aiperf", "request", "latency", "throughput", "failed", "errored", "error", "requests", "utc",
    "cap", "met", "model",
}  # fmt: skip
"""Words of other tools, of prices as targets.toml has them, and of this test's runs."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    targets = (hm.target("sim/flaky"), hm.target("sim/fast"))
    plan = hm.Plan(
        targets=targets, load=hm.Open(hm.constant(90)), duration_s=0.8, name="run", warmup_s=0.2,
        slo=("error_rate<1%", "ttft_p95<0.5", "latency_p99<0.001"),
    )  # fmt: skip
    return hm.measure(plan, out=tmp_path_factory.mktemp("spoken"))


@cache
def searched() -> Capacity:
    level = LoadLevel(
        rate=10.5, seconds=5.0, took_s=6.0, calls=50, met=True, sure=True, answers_per_s=10.1,
        goodput_per_s=9.5, cost_usd=0.01, words=(), run_id="cap/1",
    )  # fmt: skip
    missed = LoadLevel(
        rate=20.0, seconds=5.0, took_s=6.0, calls=100, met=False, sure=False, answers_per_s=12.0,
        goodput_per_s=None, cost_usd=None, words=(), run_id="cap/2",
    )  # fmt: skip
    return Capacity("sim/fast", ("ttft_p95<0.5",), (level, missed), "budget", simulated=True,
                    budget_s=60.0, added=("error_rate<=1%",))  # fmt: skip


def written(ax) -> list[str]:
    """What stands in a picture, but for its ticks, which would take longest to make."""
    _, labels = ax.get_legend_handles_labels()
    titles = [ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()]
    return [*titles, *labels, *(text.get_text() for text in ax.texts)]


def texts_of(run) -> list[str]:
    """All that report notebooks show of a run, a comparison, a search and a history, as texts."""
    subject, compared = Subject(run, "7d"), hm.compare(run)
    history, search = hm.history(run.folder.parents[1]), searched()
    parts = [getattr(subject, name) for name, part in vars(Subject).items()
             if isinstance(part, property)]  # fmt: skip
    assert sum(isinstance(part, Section) for part in parts) > 6
    pages = [
        *(part.html for part in parts if isinstance(part, Section)),
        compared._repr_html_(),
        compared.verdict._repr_html_(), search._repr_html_(), search.verdict._repr_html_(),
        history._repr_html_(), history.verdict._repr_html_(), history.changes._repr_html_(),
    ]  # fmt: skip
    axes = [
        hm.plot_latency(subject), hm.plot_ecdf(subject), hm.plot_errors(subject), hm.plot_schedule_delay(subject), hm.plot_arrivals(subject),
        hm.plot_sizes(run), hm.plot_comparison(compared), hm.plot_capacity(search),
        hm.plot_trend(history, "error_rate"),
    ]  # fmt: skip
    about = {**run.to_dict(), "report": {"status": "ok"}}
    summary = digest.digest(about, run.id, "report.html")
    texts = [text for page in pages for text in visible(page)]
    texts += [text for ax in axes for text in written(ax)]
    texts += [said(call.title) for call in hm.slowest(run, 3).slowest]
    return [*texts, *digest.figure_lines(summary), digest.heading(summary)]


def vocabulary() -> set[str]:
    """Words that sentences in English have, and no translation has."""
    with (FOLDER / "vi.po").open("rb") as file:
        catalogue = [message for message in read_po(file, "vi") if message.id]
    texts = [(message.id, message.string) for message in catalogue]
    english, other = ([" ".join(x) if not isinstance(x, str) else x for x in side] for side in zip(*texts, strict=True))  # fmt: skip
    fields = re.compile(r"\{[^}]*\}")
    known = [{w.lower() for text in side for w in words(fields.sub("", text))} for side in (english, other)]  # fmt: skip
    return known[0] - known[1]


def plain(text: str, run) -> str:
    """Without what servers said, and names of error types, objectives, runs and options."""
    for note in run.notes:
        text = text.replace(str(note.get("message", "")), " ")
    return re.sub(r"\S*[_/=<-]\w\S*", " ", text)


def test_no_sentence_of_a_report_is_left_in_english(run):
    english = set(texts_of(run))
    with speaking("vi"):
        vietnamese = texts_of(run)
    foreign = vocabulary() - NAMES
    assert len(vietnamese) > 400
    left = [
        text
        for text in dict.fromkeys(vietnamese)
        if text in english and words(plain(text, run), frozenset(NAMES | {"token", "client"}))
    ]
    assert left == []
    mixed = [(text, word) for text in dict.fromkeys(vietnamese)
             for word in words(plain(text, run)) if word.lower() in foreign]  # fmt: skip
    assert mixed == []


def test_json_and_terminals_stay_english(run):
    """Whatever is spoken: a script may rely on it."""
    before = run.to_dict(), health.health(run, Subject(run).changed).to_dict()
    with speaking("vi"):
        assert (run.to_dict(), health.health(run, Subject(run).changed).to_dict()) == before
