"""How a run was measured, in words: the plan, and the state of the client."""

from typing import Final

from holymon.formatting import ms, number_of, percent
from holymon.language.said import glued, listed, say
from holymon.load.run import Run
from holymon.plan.plan import Closed, Plan

HELD: Final = say(
    "the load says how they begin; a further turn is due when the answer before has come and its "
    "person has thought, and its delay counts from then; it says all that was said before"
)


def how_measured(run: Run) -> list[tuple[str, str]]:
    """What was sent to whom, how, and how the client was doing: names and sentences."""
    plan, client = run.plan, run.vitals.to_dict()
    where = listed(
        "; ",
        (
            say("{name} at {place}", name=t.name, place=t.base_url or say("the built-in simulator"))
            + say(" with the key in {variables}", variables=listed(say(" and "), t.variables))
            * bool(t.variables)
            for t in plan.targets
        ),
    )
    waited = client["waited_max"]
    others = (
        ""
        if waited is None
        else say(", which others held for {share} of that time", share=percent(waited))
    )
    if client["woke_late_max_s"] is not None:
        others += say(" ({late} ms each time)", late=ms(client["woke_late_max_s"]))
    return [
        (say("targets"), where),
        (say("load"), _load(plan)),
        (say("asked"), _prompts(plan)),
        *[(say("conversations"), HELD)] * (plan.prompts.turns > 1),
        *(
            (say("price"), glued(t.name, ": ", t.price.words))
            for t in plan.targets
            if t.price.stated
        ),
        (say("limits of a call"), _limits(plan)),
        *((say("first call"), glued(call.target, ": ", call.words)) for call in run.first_calls),
        (say("attempts"), say("one for each call: nothing was retried")),
        (
            say("clock"),
            say("monotonic, in a process of its own; pieces are stamped before they are parsed"),
        ),
        (
            say("client"),
            say(
                "event loop late by {late} ms at p99, {most} ms at most; at most {cpu} of a "
                "core{others}; not fit in {n:,} of {seconds:,} s",
                late=ms(client["loop_lag_p99_s"]),
                most=ms(client["loop_lag_max_s"]),
                cpu=percent(client["cpu_max"] or 0),
                others=others,
                n=len(run.vitals.unfit),
                seconds=client["seconds"] or 0,
            ),
        ),
    ]


def _limits(plan: Plan) -> str:
    """How long a call may take, and its parts."""
    parts = [
        say("{s:g} s in all", s=plan.timeout_s), say("{s:g} s to connect", s=plan.connect_s),
    ]  # fmt: skip
    if plan.first_byte_s is not None:
        parts.append(say("{s:g} s to the first byte", s=plan.first_byte_s))
    if plan.stall_s is not None:
        parts.append(say("{s:g} s to each token", s=plan.stall_s))
    return listed(", ", parts)


def _load(plan: Plan) -> str:
    if isinstance(plan.load, Closed):
        kind = say("{words} a target (queueing is hidden by such a load)", words=plan.load.words)
    else:
        kind = say("open loop, for each target {words}", words=plan.load.shape.words)
    limits = []
    if plan.duration_s is not None:
        limits.append(say("{duration:g} s", duration=plan.duration_s))
    if plan.requests is not None:
        calls = number_of(plan.requests, "call")
        if plan.prompts.turns > 1:
            calls = number_of(plan.requests, "conversation")
        limits.append(say("{calls} a target", calls=calls))
    end = listed(say(" or "), limits) or say(
        "{seconds:.4g} s", seconds=plan.seconds - plan.warmup_s
    )
    warm_up = say(", after {warmup:g} s to warm up", warmup=plan.warmup_s) * (plan.warmup_s > 0)
    return say(
        "{kind}; {end}{warm_up}; seed {seed}", kind=kind, end=end, warm_up=warm_up, seed=plan.seed
    )


def _prompts(plan: Plan) -> str:
    """How much is asked and how it is answered; no prompt itself, a report may be handed on."""
    prompts = plan.prompts
    question: str = (
        say("synthetic prompts of about {tokens} tokens", tokens=prompts.tokens)
        if prompts.tokens
        else (
            say("one prompt")
            if prompts.number == 1
            else say("{number:,} prompts in turn", number=prompts.number)
        )
    )
    if prompts.dataset is not None:
        left = prompts.dataset.left_out
        question = prompts.dataset.words + say(" (left out: {left})", left=left) * bool(left)
    longest = prompts.sizes.longest_answer
    most = say(", at most {longest} tokens", longest=longest) if longest else ""
    how = say("answers streamed") if prompts.stream else say("answers not streamed")
    return listed("; ", [question, *prompts.common, how + most])
