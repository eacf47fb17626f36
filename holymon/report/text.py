"""Figures as tables: for a terminal, and for a notebook or a report; nothing is computed here."""

from typing import Final

from holymon.figures.quantiles import Figure
from holymon.figures.summary_types import TargetSummary
from holymon.figures.verdict import Check, Verdict
from holymon.formatting import DASH, count, failures, ms, ms_interval, percent, rounded
from holymon.load.run import Run
from holymon.plan import slo
from holymon.plan.plan import Closed
from holymon.safety import ends, plain

DURATIONS: Final = (
    ("latency", "latency_s"), ("TTFT", "ttft_s"), ("TPOT", "tpot_s"), ("ITL", "itl_s"),
    ("response", "response_s"), ("schedule delay", "schedule_delay_s"),
)  # fmt: skip
STATS: Final = ("p50", "p90", "p95", "p99", "max")


def text(run: Run) -> str:
    """A run as a table for a terminal, at most 100 columns wide."""
    summary, judged = run.summary(), run.verdict()
    label = "   SIMULATED" if summary.simulated else ""
    lines = [f"{run.id}   {run.state}, {len(run.records):,} calls{label}", *verdict_lines(judged)]
    for target in summary.targets:
        lines += ["", *_target_lines(target)]
    if judged.notes:
        lines += ["", *(f"note: {note}" for note in judged.notes)]
    return "\n".join(plain(line) for line in lines)


def sweep(runs: list[Run]) -> str:
    """Runs of one sweep as a table for a terminal: one line for each level and target."""
    heads = ("answers/s", "latency p50", "p95", "TTFT p50", "p95", "failed", "measurement")
    lines = [f"{'load':<28} {'target':<20} " + " ".join(f"{head:>11}" for head in heads)]
    for run in runs:
        load, judged = run.plan.load, run.verdict()
        said = f"{load.users} users" if isinstance(load, Closed) else load.shape.words
        for target in run.summary().targets:
            rate = target.error_rate.value
            cells = (
                rounded(target.requests_per_s), ms(target.latency_s.p50), ms(target.latency_s.p95),
                ms(target.ttft_s.p50), ms(target.ttft_s.p95),
                DASH if rate is None else percent(rate), judged.measurement,
            )  # fmt: skip
            row = " ".join(f"{cell:>11}" for cell in cells)
            lines.append(f"{said[:28]:<28} {ends(target.target, 20):<20} {row}")
        lines += [f"    {reason.level}: {reason.text}" for reason in judged.reasons]
    label = "times in ms" + ("   SIMULATED" if any(run.plan.simulated for run in runs) else "")
    return "\n".join(plain(line) for line in [*lines, label, *(f"  {run.id}" for run in runs)])


def verdict_lines(judged: Verdict) -> list[str]:
    """The verdict, its reasons and the objectives, a line each."""
    lines = [f"measurement: {judged.measurement.upper()}"]
    lines += [f"  {reason.level}: {reason.text}" for reason in judged.reasons]
    lines += [f"objective on {check.target}: {check.text} (is {checked(check)})"
              for check in judged.checks]  # fmt: skip
    return lines


def _target_lines(target: TargetSummary) -> list[str]:
    lines = [target.target, f"  {calls_of(target)}"]
    lines += [f"    {n:>9,} {name}" for name, n in target.errors.items()]
    lines.append(f"  {'ms':<15}{'n':>10}" + "".join(f"{stat:>13}" for stat in STATS))
    for title, name in DURATIONS:
        figure: Figure = getattr(target, name)
        if figure.n:
            cells = "".join(f"{ms(getattr(figure, stat)):>13}" for stat in STATS)
            lines.append(f"  {title:<15}{figure.n:>10,}{cells}")
            if title in {"latency", "TTFT"}:
                lines.append(f"  {'  95 % interval':<25}" + "".join(
                    f"{ms_interval(figure.ci.get(stat)):>13}" if stat != "max" else ""
                    for stat in STATS).rstrip())  # fmt: skip
    return [*lines, f"  {rates_of(target)}", f"  {tokens_of(target)}"]


def calls_of(target: TargetSummary) -> str:
    """How many calls there were and what became of them."""
    warm = f" (and {target.warmup:,} before, to warm up)" if target.warmup else ""
    return f"{target.requests:,} calls{warm}, {target.ok:,} ok, {failures(target.error_rate)}"


def rates_of(target: TargetSummary) -> str:
    """Answers, calls and tokens per second."""
    parts = [f"{rounded(target.requests_per_s)} answers/s"]
    if target.wanted_per_s is not None:
        parts.append(f"{rounded(target.sent_per_s)} of {rounded(target.wanted_per_s)} calls/s sent")
    parts.append(f"{rounded(target.output_tokens_per_s)} output tokens/s")
    if target.goodput_per_s is not None:
        parts.append(f"goodput {rounded(target.goodput_per_s)}/s")
    return ", ".join(parts)


def tokens_of(target: TargetSummary) -> str:
    """Tokens, who counted them, and what they cost."""
    counted = {"server": "counted by the server", "chunks": "estimated: pieces counted",
               "mixed": "partly estimated"}.get(str(target.tokens.source), "not known")  # fmt: skip
    money = DASH if target.cost_usd is None else f"{rounded(target.cost_usd, 6)} USD"
    prompt, output = count(target.tokens.prompt), count(target.tokens.output)
    return f"tokens {prompt} in, {output} out ({counted}); cost {money}"


def checked(found: Check) -> str:
    """The figure that an objective was held against, in the unit of its kind."""
    objective = slo.parse(found.slo)
    if found.value is None:
        return DASH
    if objective.stat:
        return f"{ms(found.value)} ms"
    return percent(found.value) if "rate" in objective.metric else rounded(found.value)
