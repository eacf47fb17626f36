"""Figures as HTML, for a notebook and a report; nothing is computed here, all text is escaped."""

from dataclasses import dataclass
from itertools import groupby

from holymon.errors import ERRORS
from holymon.figures.quantiles import Figure
from holymon.figures.summary_types import TargetSummary
from holymon.figures.tool_definitions import OURS, PERCENTILES, Definitions, definitions
from holymon.figures.tool_definitions import said as values_of
from holymon.figures.verdict import Check, Verdict
from holymon.formatting import DASH, bullets, failures, ms, ms_interval, percent, table
from holymon.load.run import Run
from holymon.plan.plan import Closed, Plan
from holymon.report.text import (
    DURATIONS,
    STATS,
    calls_of,
    checked,
    rates_of,
    text,
    tokens_of,
    verdict_lines,
)
from holymon.safety import escape, short
from holymon.structs import Interval


@dataclass(frozen=True, slots=True)
class Html:
    """A piece of HTML with a plain form beside it."""

    html: str
    words: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.words


def _outcome(found: Check) -> str:
    word = {True: "met", False: "MISSED", None: "no figure to judge by"}[found.met]
    unsure = found.met is not None and not found.sure
    return f"{word} (not certain: the sample is small)" if unsure else word


def verdict_card(run: Run) -> Html:
    """The verdict on the measurement, the objectives, and the figures that matter most."""
    summary, judged = run.summary(), run.verdict()
    head = {"valid": "The measurement is valid", "suspect": "The measurement is suspect",
            "invalid": "The measurement is invalid"}[judged.measurement]  # fmt: skip
    items = [escape(reason.text) for reason in judged.reasons]
    badge = '<p class="simulated">SIMULATED: the API is the built-in simulator</p>'
    body = badge * summary.simulated + f'<p class="verdict">{head}</p>'
    body += bullets(items) or "<p>The client was fit to measure: what is shown is the API.</p>"
    missed = " missed" * judged.missed
    if judged.checks:
        body += f'<p class="verdict{missed}">{_objectives(judged)}</p>' + _checks(judged)
    body += "".join(_tiles(target) for target in summary.targets)
    title = f"<h1>{escape(_title(run))}</h1><p class='when'>{escape(_when(run))}</p>"
    return Html(
        f'{title}<div class="card {judged.measurement}{missed}">{body}</div>',
        "\n".join(verdict_lines(judged)),
    )


def _objectives(judged: Verdict) -> str:
    missed, open_ = (sum(one.met is met for one in judged.checks) for met in (False, None))
    said = [f"{missed} missed"] * bool(missed) + [f"{open_} without a figure"] * bool(open_)
    return f"Of {len(judged.checks)} objectives {', '.join(said)}" if said else "All objectives met"


def _title(run: Run) -> str:
    names = ", ".join(target.name for target in run.plan.targets)
    return f"Health of {names}"


def _when(run: Run) -> str:
    started = str(run.status.get("started_at", ""))[:19].replace("T", " ")
    return f"{run.id} · measured {started} UTC · {_state(run)}"


def _state(run: Run) -> str:
    return {"finished": "run to its end"}.get(run.state, run.state)


def _checks(judged: Verdict) -> str:
    rows = [
        (
            escape(check.slo), escape(check.target), escape(checked(check)),
            f'<span class="missed">{escape(_outcome(check))}</span>' if check.met is False
            else escape(_outcome(check)),
        )
        for check in judged.checks
    ]  # fmt: skip
    return table(("objective", "target", "is", ""), rows, "checks")


def _tiles(target: TargetSummary) -> str:
    tiles = (
        ("latency p50", ms(target.latency_s.p50), "ms"),
        ("latency p95", ms(target.latency_s.p95), "ms"),
        ("TTFT p50", ms(target.ttft_s.p50), "ms"),
        ("TTFT p95", ms(target.ttft_s.p95), "ms"),
        ("failed", DASH if target.error_rate.value is None else percent(target.error_rate.value),
         f"of {target.error_rate.of:,}"),
    )  # fmt: skip
    cells = "".join(
        f'<td><span class="what">{what}</span><br><b>{escape(value)}</b> {unit}</td>'
        for what, value, unit in tiles
    )
    return f'<table class="tiles"><tr><th>{escape(target.target)}</th>{cells}</tr></table>'


def figures_table(run: Run) -> Html:
    """All figures of all targets, with intervals."""
    summary = run.summary()
    pieces = []
    for target in summary.targets:
        rows = []
        for title, name in DURATIONS:
            figure: Figure = getattr(target, name)
            cells = [
                escape(ms(getattr(figure, stat))) + _small(figure.ci.get(stat)) for stat in STATS
            ]
            rows.append((title, f"{figure.n:,}", *cells))
        said = bullets(map(escape, (calls_of(target), rates_of(target), tokens_of(target))))
        pieces.append(f"<h3>{escape(target.target)}</h3>{said}")
        pieces.append(table(("ms", "n", *STATS), rows, "figures"))
    notes = [escape(note) for note in run.verdict().notes]
    return Html("".join(pieces) + bullets(notes, "notes"), text(run))


def _small(found: Interval | None) -> str:
    return "" if found is None else f'<br><span class="ci">{escape(ms_interval(found))}</span>'


def errors_table(run: Run) -> Html:
    """Each error type: how often, whose fault, what it means, and samples of what was said."""
    summary, notes = run.summary(), run.notes
    rows: list[tuple[str, ...]] = []
    for i, target in enumerate(summary.targets):
        for name, n in target.errors.items():
            said = dict.fromkeys(
                short(str(note.get("message", "")), 160)
                for note in notes
                if note.get("error_type") == name and note.get("target") == i
            )
            rows.append(
                (
                    escape(target.target), escape(name), f"{n:,}", percent(n / target.requests),
                    ERRORS[name].blame, escape(ERRORS[name].meaning),
                    bullets(map(escape, list(said)[:3])),
                )
            )  # fmt: skip
    if not rows:
        rates = "; ".join(f"{one.target}: {failures(one.error_rate)}" for one in summary.targets)
        return Html(f"<p>No call failed. {escape(rates)}.</p>", f"no call failed. {rates}")
    names = ("target", "error type", "calls", "share", "whose", "meaning", "what was said")
    return Html(table(names, rows, "errors"), "\n".join(" ".join(row[:4]) for row in rows))


def how_measured(run: Run) -> Html:
    """The plan in words, the state of the client, and, folded, the definitions of the figures."""
    rows = [(escape(name), escape(value)) for name, value in _measured(run)]
    html = table(("", ""), rows, "plan") + _defined(definitions(run, summary=run.summary()))
    return Html(html, "\n".join(f"{name}: {value}" for name, value in _measured(run)))


def _defined(found: Definitions) -> str:
    """A foldout for each target: every figure's formula here and elsewhere, with its value."""
    pieces = []
    for target, ones in groupby(found, key=lambda one: one.target):
        rows = [
            (
                f"<b>{escape(one.figure)}</b>" if one.tool == OURS else "",
                escape(one.tool if one.name == one.figure else f"{one.tool}: {one.name}"),
                escape(one.formula), escape(values_of(one)),
            )
            for one in ones
        ]  # fmt: skip
        title = f"What the figures mean, and what other tools would print for {target}"
        terms = table(("figure", "tool", "formula", "is"), rows, "terms")
        pieces.append(
            f"<details><summary>{escape(title)}</summary>{terms}"
            f"<p>Here, {escape(PERCENTILES)}.</p></details>"
        )
    return "".join(pieces)


def _measured(run: Run) -> list[tuple[str, str]]:
    plan, client = run.plan, run.vitals.to_dict()
    where = "; ".join(f"{t.name} at {t.base_url or 'the built-in simulator'}" for t in plan.targets)
    return [
        ("targets", where),
        ("load", _load(plan)),
        ("asked", _asked(plan)),
        ("limits of a call", f"{plan.timeout_s:g} s in all, {plan.connect_s:g} s to connect, "
                             f"{plan.first_byte_s:g} s to the first byte"),
        ("attempts", "one for each call: nothing was retried"),
        ("clock", "monotonic, in a process of its own; pieces are stamped before they are parsed"),
        ("client", f"event loop late by {ms(client['loop_lag_p99_s'])} ms at p99, "
                   f"{ms(client['loop_lag_max_s'])} ms at most; at most "
                   f"{percent(client['cpu_max'] or 0)} of a core{_waited(client['waited_max'])}"),
    ]  # fmt: skip


def _waited(share: float | None) -> str:
    return "" if share is None else f", which others held for {percent(share)} of that time"


def _load(plan: Plan) -> str:
    end = []
    if plan.duration_s is not None:
        end.append(f"{plan.duration_s:g} s")
    if plan.requests is not None:
        end.append(f"{plan.requests:,} calls a target")
    end = end or [f"{plan.seconds - plan.warmup_s:.4g} s"]
    warm = f", after {plan.warmup_s:g} s to warm up" * (plan.warmup_s > 0)
    if isinstance(plan.load, Closed):
        kind = f"closed loop, {plan.load.users} users a target (queueing is hidden by such a load)"
    else:
        kind = f"open loop, for each target {plan.load.shape.words}"
    return f"{kind}; {' or '.join(end)}{warm}; seed {plan.seed}"


def _asked(plan: Plan) -> str:
    prompts = plan.prompts
    what = f"synthetic prompts of about {prompts.tokens} tokens" if prompts.tokens else (
        "one prompt" if len(prompts.texts) == 1 else f"{len(prompts.texts)} prompts in turn"
    )  # fmt: skip
    most = f", at most {prompts.max_tokens} tokens" if prompts.max_tokens else ""
    return f"{what}; answers {'streamed' if prompts.stream else 'not streamed'}{most}"
