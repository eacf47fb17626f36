"""Figures as tables: for a terminal, and for a notebook or a report; nothing is computed here."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from holymon import slo
from holymon.errors import ERRORS
from holymon.plan import Closed, Plan
from holymon.run import Run
from holymon.safety import escape, plain, short
from holymon.summary import Figure, Interval, Rate, TargetSummary
from holymon.verdict import Check, Verdict

NONE: Final = "–"
DURATIONS: Final = (
    ("latency", "latency_s"), ("TTFT", "ttft_s"), ("TPOT", "tpot_s"), ("ITL", "itl_s"),
    ("response", "response_s"), ("schedule delay", "schedule_delay_s"),
)  # fmt: skip
STATS: Final = ("p50", "p90", "p95", "p99", "max")
DEFINITIONS: Final = (
    ("latency", "end of the answer minus start of the call, successful calls only"),
    ("TTFT", "first token (content, reasoning or tool call) minus start; a delta without text is "
             "no token"),
    ("TPOT", "(last token minus first token) / (output tokens - 1), one value for each call"),
    ("ITL", "the gaps between received pieces that carried tokens, all calls together"),
    ("response", "end of the answer minus the moment the schedule wanted the call: what a user "
                 "who does not wait for others would feel"),
    ("schedule delay", "start minus that moment: lateness of the client, not of the API"),
    ("error rate", "failed calls / calls that were sent and not stopped by us; Wilson's 95 % "
                   "interval"),
    ("percentiles", "from raw records, R-8 (median-unbiased); with 95 % intervals by order "
                    "statistics; none below the number of calls they need"),
    ("throughput", "successful answers per second between the first and the last answer that came "
                   "while calls were still being sent"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Html:
    """A piece of HTML with a plain form beside it."""

    html: str
    words: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.words


def text(run: Run) -> str:
    """A run as a table for a terminal, at most 100 columns wide."""
    summary, judged = run.summary(), run.verdict()
    label = "   SIMULATED" if summary.simulated else ""
    lines = [f"{run.id}   {run.state}, {len(run.records)} calls{label}", *_verdict_lines(judged)]
    for target in summary.targets:
        lines += ["", *_target_lines(target)]
    if judged.notes:
        lines += ["", *(f"note: {note}" for note in judged.notes)]
    return "\n".join(plain(line) for line in lines)


def _verdict_lines(judged: Verdict) -> list[str]:
    lines = [f"measurement: {judged.measurement.upper()}"]
    lines += [f"  {reason.level}: {reason.text}" for reason in judged.reasons]
    lines += [f"objective on {check.target}: {check.text} (is {_checked(check)})"
              for check in judged.checks]  # fmt: skip
    return lines


def _target_lines(target: TargetSummary) -> list[str]:
    lines = [target.target, f"  {_calls(target)}"]
    lines += [f"    {n:>7} {name}" for name, n in target.errors.items()]
    lines.append(f"  {'ms':<15}{'n':>8}" + "".join(f"{stat:>13}" for stat in STATS))
    for title, name in DURATIONS:
        figure: Figure = getattr(target, name)
        if figure.n:
            cells = "".join(f"{ms(getattr(figure, stat)):>13}" for stat in STATS)
            lines.append(f"  {title:<15}{figure.n:>8}{cells}")
            if title in {"latency", "TTFT"}:
                lines.append(f"  {'  95 % interval':<23}" + "".join(
                    f"{_interval(figure.ci.get(stat)):>13}" if stat != "max" else ""
                    for stat in STATS).rstrip())  # fmt: skip
    return [*lines, f"  {_rates(target)}", f"  {_tokens(target)}"]


def _calls(target: TargetSummary) -> str:
    warm = f" (and {target.warmup} before, to warm up)" if target.warmup else ""
    return f"{target.requests} calls{warm}, {target.ok} ok, {failures(target.error_rate)}"


def failures(rate: Rate) -> str:
    """An error rate in words; no errors are never shown without their upper bound."""
    if rate.value is None or rate.low is None or rate.high is None:
        return "no error rate"
    failed = round(rate.value * rate.of)
    if failed == 0:
        return f"0 of {rate.of} failed, at most {percent(rate.high)}"
    low, high = percent(rate.low), percent(rate.high)
    return f"{failed} of {rate.of} failed, {percent(rate.value)} ({low} to {high})"


def _rates(target: TargetSummary) -> str:
    parts = [f"{number(target.requests_per_s)} answers/s"]
    if target.wanted_per_s is not None:
        parts.append(f"{number(target.sent_per_s)} of {number(target.wanted_per_s)} calls/s sent")
    parts.append(f"{number(target.output_tokens_per_s)} output tokens/s")
    if target.goodput_per_s is not None:
        parts.append(f"goodput {number(target.goodput_per_s)}/s")
    return ", ".join(parts)


def _tokens(target: TargetSummary) -> str:
    counted = {"server": "counted by the server", "chunks": "estimated: pieces counted",
               "mixed": "partly estimated"}.get(str(target.tokens.source), "not known")  # fmt: skip
    money = NONE if target.cost_usd is None else f"{target.cost_usd:.6g} USD"
    prompt, output = whole(target.tokens.prompt), whole(target.tokens.output)
    return f"tokens {prompt} in, {output} out ({counted}); cost {money}"


def ms(seconds: float | None) -> str:
    """Seconds as milliseconds with three figures."""
    if seconds is None:
        return NONE
    value = seconds * 1e3
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"


def percent(share: float) -> str:
    """A share as per cent, with two figures."""
    return f"{share * 100:.2g} %" if share < 0.995 else f"{share * 100:.4g} %"


def number(value: float | None) -> str:
    """A number with four figures."""
    return NONE if value is None else f"{value:.4g}"


def whole(value: int | None) -> str:
    """A count."""
    return NONE if value is None else f"{value:,}"


def _interval(found: Interval | None) -> str:
    return NONE if found is None else f"{ms(found[0])}–{ms(found[1])}"


def _checked(found: Check) -> str:
    """The figure that an objective was held against, in the unit of its kind."""
    objective = slo.parse(found.slo)
    if found.value is None:
        return NONE
    if objective.stat:
        return f"{ms(found.value)} ms"
    return percent(found.value) if "rate" in objective.metric else number(found.value)


def _outcome(found: Check) -> str:
    word = {True: "met", False: "MISSED", None: "no figure to judge by"}[found.met]
    unsure = found.met is not None and not found.sure
    return f"{word} (not certain: the sample is small)" if unsure else word


# ---------------------------------------------------------------------------------------- HTML


def verdict_card(run: Run) -> Html:
    """The verdict on the measurement, the objectives, and the figures that matter most."""
    summary, judged = run.summary(), run.verdict()
    head = {"valid": "The measurement is valid", "suspect": "The measurement is suspect",
            "invalid": "The measurement is invalid"}[judged.measurement]  # fmt: skip
    items = [escape(reason.text) for reason in judged.reasons]
    badge = '<p class="simulated">SIMULATED: the API is the built-in simulator</p>'
    body = badge * summary.simulated + f'<p class="verdict">{head}</p>'
    body += _list(items) or "<p>The client was fit to measure: what is shown is the API.</p>"
    if judged.checks:
        missed = sum(not check.met for check in judged.checks)
        number_of = len(judged.checks)
        said = f"{missed} of {number_of} objectives missed" if missed else "All objectives met"
        body += f'<p class="verdict">{said}</p>' + _checks(judged)
    body += "".join(_tiles(target) for target in summary.targets)
    title = f"<h1>{escape(_title(run))}</h1><p class='when'>{escape(_when(run))}</p>"
    return Html(
        f'{title}<div class="card {judged.measurement}">{body}</div>',
        "\n".join(_verdict_lines(judged)),
    )


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
            escape(check.slo), escape(check.target), escape(_checked(check)),
            escape(_outcome(check)),
        )
        for check in judged.checks
    ]  # fmt: skip
    return _table(("objective", "target", "is", ""), rows, "checks")


def _tiles(target: TargetSummary) -> str:
    tiles = (
        ("latency p50", ms(target.latency_s.p50), "ms"),
        ("latency p95", ms(target.latency_s.p95), "ms"),
        ("TTFT p50", ms(target.ttft_s.p50), "ms"),
        ("TTFT p95", ms(target.ttft_s.p95), "ms"),
        ("failed", NONE if target.error_rate.value is None else percent(target.error_rate.value),
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
        said = _list(map(escape, (_calls(target), _rates(target), _tokens(target))))
        pieces.append(f"<h3>{escape(target.target)}</h3>{said}")
        pieces.append(_table(("ms", "n", *STATS), rows, "figures"))
    notes = [escape(note) for note in run.verdict().notes]
    return Html("".join(pieces) + _list(notes, "notes"), text(run))


def _small(found: Interval | None) -> str:
    return "" if found is None else f'<br><span class="ci">{escape(_interval(found))}</span>'


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
                    _list(map(escape, list(said)[:3])),
                )
            )  # fmt: skip
    if not rows:
        rates = "; ".join(f"{one.target}: {failures(one.error_rate)}" for one in summary.targets)
        return Html(f"<p>No call failed. {escape(rates)}.</p>", f"no call failed. {rates}")
    names = ("target", "error type", "calls", "share", "whose", "meaning", "what was said")
    return Html(_table(names, rows, "errors"), "\n".join(" ".join(row[:4]) for row in rows))


def how_measured(run: Run) -> Html:
    """The plan in words, the state of the client, and the definitions of the figures."""
    rows = [(escape(name), escape(value)) for name, value in _measured(run)]
    said = [f"<b>{escape(name)}</b>: {escape(meaning)}." for name, meaning in DEFINITIONS]
    html = _table(("", ""), rows, "plan") + "<h3>What the figures mean</h3>" + _list(said)
    return Html(html, "\n".join(f"{name}: {value}" for name, value in _measured(run)))


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
                   f"{percent(client['cpu_max'] or 0)} of a core"),
    ]  # fmt: skip


def _load(plan: Plan) -> str:
    end = []
    if plan.duration_s is not None:
        end.append(f"{plan.duration_s:g} s")
    if plan.requests is not None:
        end.append(f"{plan.requests:,} calls a target")
    warm = f", after {plan.warmup_s:g} s to warm up" * (plan.warmup_s > 0)
    if isinstance(plan.load, Closed):
        kind = f"closed loop, {plan.load.users} users a target (queueing is hidden by such a load)"
    else:
        how = "evenly spaced" if plan.load.arrivals == "constant" else "at random (Poisson)"
        kind = f"open loop, {plan.load.rate:g} calls/s a target, {how}"
    return f"{kind}; {' or '.join(end)}{warm}; seed {plan.seed}"


def _asked(plan: Plan) -> str:
    prompts = plan.prompts
    what = f"synthetic prompts of about {prompts.tokens} tokens" if prompts.tokens else (
        "one prompt" if len(prompts.texts) == 1 else f"{len(prompts.texts)} prompts in turn"
    )  # fmt: skip
    most = f", at most {prompts.max_tokens} tokens" if prompts.max_tokens else ""
    return f"{what}; answers {'streamed' if prompts.stream else 'not streamed'}{most}"


def _list(items: Iterable[str], kind: str = "") -> str:
    inner = "".join(f"<li>{item}</li>" for item in items)
    return f'<ul class="{kind}">{inner}</ul>' if inner else ""


def _table(names: Iterable[str], rows: Iterable[Iterable[str]], kind: str) -> str:
    """A table of cells that are HTML already."""
    names = tuple(names)
    head = "".join(f"<th>{escape(name)}</th>" for name in names) if any(names) else ""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
