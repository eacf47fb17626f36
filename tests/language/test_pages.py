"""What a report shows in Vietnamese has no English left over, but for names and servers' words."""

import re
from email import message_from_bytes
from email.policy import default
from functools import cache

import msgspec
import pytest
from babel.messages.pofile import read_po

import holymon as hm
from holymon.experiments.capacity import Capacity, LoadLevel
from holymon.language.catalogue import FOLDER
from holymon.language.said import shown as said
from holymon.language.said import speaking
from holymon.report import channels, digest, health
from holymon.report.sections import Section
from holymon.report.subject import Subject
from tests.report.test_sharing import address, channel, post, receiver
from tests.visible import visible, words

__all__ = ["post", "receiver"]

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


@pytest.mark.parametrize("language", ["en", "vi"])
def test_what_is_sent_is_in_the_language_of_the_report(run, language, receiver, post, monkeypatch):
    """By chat and by mail, as it arrives."""
    monkeypatch.setenv("MAIL", address(post))
    with speaking(language):
        first = health.health(run, Subject(run, "7d").changed)
        about = {**run.to_dict(), **first.to_dict()}
        about["report"] = {"status": "ok", **digest.translated(run, first)}
        about = msgspec.json.decode(msgspec.json.encode(about, enc_hook=str))
        summary = digest.digest(about, run.id, "https://a.example/report.html")
        for kind in ("slack", "teams"):
            monkeypatch.setenv("HOOK", f"http://127.0.0.1:{receiver.server_port}/{kind}")
            channels.send(channel(f"{kind}=HOOK"), summary, "failure")
        channels.send(channel("smtp=MAIL"), summary, "failure")
    (_, _, slack), (_, _, teams) = receiver.got
    (data,) = [data for word, data in post.got if word == "mail"]
    mail = message_from_bytes(data, policy=default)
    bodies = [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]
    sent = {"slack": "\n".join(texts_in(slack)), "teams": "\n".join(texts_in(teams)),
            "mail": f"{mail['subject']}\n{bodies[0]}", "mail's page": " ".join(visible(bodies[1]))}  # fmt: skip
    foreign = vocabulary() - NAMES
    for name, text in sent.items():
        shown = re.sub(r"https?://\S+", " ", plain(text, run))
        left = [word for word in words(shown) if word.lower() in foreign]
        marked = re.findall(r"[ạảấầẩẫậắằẳẵặẹẻẽếềểễệịọốồổỗộớờởỡợụủứừửữựỷỹđ]", text)
        assert bool(marked) == (language == "vi"), name
        assert language == "en" or left == [], name


def texts_in(body) -> list[str]:
    """The texts that a message shows, whatever they stand in."""
    if isinstance(body, dict):
        own = [
            value
            for key, value in body.items()
            if key in {"text", "title"} and isinstance(value, str)
        ]
        return own + [text for value in body.values() for text in texts_in(value)]
    return [text for each in body for text in texts_in(each)] if isinstance(body, list) else []


def test_json_and_terminals_stay_english(run):
    """Whatever is spoken: a script may rely on it."""
    before = run.to_dict(), health.health(run, Subject(run).changed).to_dict()
    with speaking("vi"):
        assert (run.to_dict(), health.health(run, Subject(run).changed).to_dict()) == before
