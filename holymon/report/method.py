"""How a run was measured, in words: the plan, and the state of the client."""

from typing import Final

from holymon.formatting import ms, number_of, percent
from holymon.load.run import Run
from holymon.plan.plan import Closed, Plan

HELD: Final = (
    "the load says how they begin; a further turn is due when the answer before has come and its "
    "person has thought, and its delay counts from then; it says all that was said before"
)


def how_measured(run: Run) -> list[tuple[str, str]]:
    """What was sent to whom, how, and how the client was doing: names and sentences."""
    plan, client = run.plan, run.vitals.to_dict()
    where = "; ".join(
        f"{t.name} at {t.base_url or 'the built-in simulator'}"
        + f" with the key in {' and '.join(t.variables)}" * bool(t.variables)
        for t in plan.targets
    )
    waited = client["waited_max"]
    others = "" if waited is None else f", which others held for {percent(waited)} of that time"
    if client["woke_late_max_s"] is not None:
        others += f" ({ms(client['woke_late_max_s'])} ms each time)"
    return [
        ("targets", where),
        ("load", _load(plan)),
        ("asked", _prompts(plan)),
        *[("conversations", HELD)] * (plan.prompts.turns > 1),
        *(("price", f"{t.name}: {t.price.words}") for t in plan.targets if t.price.stated),
        ("limits of a call", _limits(plan)),
        *(("first call", f"{call.target}: {call.words}") for call in run.first_calls),
        ("attempts", "one for each call: nothing was retried"),
        ("clock", "monotonic, in a process of its own; pieces are stamped before they are parsed"),
        ("client", f"event loop late by {ms(client['loop_lag_p99_s'])} ms at p99, "
                   f"{ms(client['loop_lag_max_s'])} ms at most; at most "
                   f"{percent(client['cpu_max'] or 0)} of a core{others}; not fit in "
                   f"{len(run.vitals.unfit):,} of {client['seconds'] or 0:,} s"),
    ]  # fmt: skip


def _limits(plan: Plan) -> str:
    """How long a call may take, and its parts."""
    parts = [("to the first byte", plan.first_byte_s), ("to each token", plan.stall_s)]
    given = [f"{seconds:g} s {what}" for what, seconds in parts if seconds is not None]
    return ", ".join([f"{plan.timeout_s:g} s in all", f"{plan.connect_s:g} s to connect", *given])


def _load(plan: Plan) -> str:
    if isinstance(plan.load, Closed):
        kind = f"{plan.load.words} a target (queueing is hidden by such a load)"
    else:
        kind = f"open loop, for each target {plan.load.shape.words}"
    limits = []
    if plan.duration_s is not None:
        limits.append(f"{plan.duration_s:g} s")
    if plan.requests is not None:
        noun = "conversation" if plan.prompts.turns > 1 else "call"
        limits.append(f"{number_of(plan.requests, noun)} a target")
    end = " or ".join(limits) or f"{plan.seconds - plan.warmup_s:.4g} s"
    warm_up = f", after {plan.warmup_s:g} s to warm up" * (plan.warmup_s > 0)
    return f"{kind}; {end}{warm_up}; seed {plan.seed}"


def _prompts(plan: Plan) -> str:
    """How much is asked and how it is answered; no prompt itself, a report may be handed on."""
    prompts = plan.prompts
    question = f"synthetic prompts of about {prompts.tokens} tokens" if prompts.tokens else (
        "one prompt" if prompts.number == 1 else f"{prompts.number:,} prompts in turn"
    )  # fmt: skip
    if prompts.dataset is not None:
        left = prompts.dataset.left_out
        question = prompts.dataset.words + f" (left out: {left})" * bool(left)
    longest = prompts.sizes.longest_answer
    most = f", at most {longest} tokens" if longest else ""
    how = f"answers {'streamed' if prompts.stream else 'not streamed'}{most}"
    return "; ".join([question, *prompts.common, how])
