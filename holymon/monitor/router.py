r"""Calls that move from one provider to another, in steps that take themselves back.

chat(key) --> share --> baseline                                 --> Ledger --> Keeper --> file
                   \-> candidate, or at its failure the baseline
"""

import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, overload

from holymon.errors import CallError, PlanError
from holymon.formatting import percent
from holymon.load.requests import require_ways
from holymon.monitor.monitor import Monitor
from holymon.monitor.move import STATE, LiveMove, Moving, require_patience
from holymon.monitor.replies import Event, Messages, Reply
from holymon.monitor.retry import Policy
from holymon.monitor.shadows import Shadows
from holymon.monitor.side import Place, at
from holymon.monitor.steps import Steps, arun, run
from holymon.plan.target import Target


class Router(Moving):
    """Calls `baseline`, and more and more of the time `candidate`, while that shows no harm.

    At first a share `shadow` of the calls goes to both, and callers get the baseline's answers;
    then the candidate answers `steps` of them, the same `key` always at the same side. Each step
    has to show within `min_s` seconds and `min_calls` at least, however long that takes, that of
    the candidate's calls no more than `more_errors` (a share) fail beyond the baseline's, that its
    p90 is at most `1 + slower` times the other, its cost per call `1 + dearer` times, that its
    answers' lengths and ends differ in less than a share `drift`, and that it meets each objective
    of `slo`. Of moves that do harm at most 5 % go on, and of those that don't at most 5 % go back
    (`holymon.figures.gate`). A burst of failures takes it back at once, and so does what is shown
    to be worse; from there it goes on only by hand (`holymon route set`).

    A call that fails at the candidate, or has not begun to answer in `patience_s`, is made at the
    baseline while the policy's budget for retries lasts; without a policy twenty at once, and a
    tenth of all. All processes that name the same file as `state` are one move. While that can't be
    read or written, only the baseline is called, and `problem` says why. `monitor` has all calls of
    both, for `hm.watch` and `hm.expose`; one made at both is one request with its attempts. What a
    gateway says it charged (`usage.cost`) is the cost of a call, else what its tokens cost by the
    price of its target.
    """

    def __init__(
        self,
        baseline: Target | str,
        candidate: Target | str,
        *,
        state: Path | str = STATE,
        shadow: float = 0.05,
        steps: Iterable[float] = (0.05, 0.2, 0.5, 1.0),
        slo: Iterable[str] = (),
        more_errors: float = 0.02,
        slower: float = 0.2,
        dearer: float = 0.1,
        drift: float = 0.25,
        min_calls: int = 100,
        min_s: float = 300.0,
        block_s: float = 10.0,
        policy: Policy | None = None,
        patience_s: float = 20.0,
        keep: int = 100_000,
    ) -> None:
        """Call nobody yet. Raises PlanError, and ConfigError if a key is missing."""
        once = Policy(attempts=1, deadline_s=(policy or Policy()).deadline_s)
        self.monitor = Monitor(baseline, policy=policy, keep=keep)
        self._candidate = Monitor(candidate, policy=once, first_byte_s=patience_s)
        old, new = self.monitor.target, self._candidate.target
        if old is None or new is None or old.name == new.name:
            raise PlanError("baseline and candidate need names of their own: provider/model.")
        require_patience(patience_s)
        _require_one_dialect(old, new)
        require_ways((old, new))
        ledger = self._candidate.ledger = self.monitor.ledger
        self.move = self.monitor.router = LiveMove(
            ledger, (old.name, new.name), policy, state=state, shadow=shadow, steps=steps, slo=slo,
            more_errors=more_errors, slower=slower, dearer=dearer, drift=drift,
            min_calls=min_calls, min_s=min_s, block_s=block_s,
        )  # fmt: skip
        self.keeper = self.move.keeper
        self._shadows = Shadows(self._candidate)
        self._finish = weakref.finalize(self, self.move.close)

    def __repr__(self) -> str:
        route = self.route
        state = percent(self.share) if not self.problem else "baseline only"
        return f"<Router from {route.baseline} to {route.candidate}: {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Close all connections, and tell the state what came last."""
        self._shadows.close()
        self._candidate.close()
        self.monitor.close()
        self._finish()

    @overload
    def chat(
        self, messages: Messages, *, key: str = "", model: str = "",
        stream: Literal[False] = False, **options: Any,
    ) -> Reply:  # fmt: skip
        pass

    @overload
    def chat(
        self, messages: Messages, *, key: str = "", model: str = "", stream: Literal[True],
        **options: Any,
    ) -> Iterator[Event]:  # fmt: skip
        pass

    def chat(
        self, messages: Messages, *, key: str = "", model: str = "", stream: bool = False,
        **options: Any,
    ) -> Reply | Iterator[Event]:  # fmt: skip
        """Ask, and return the answer of the side that the call goes to, as `Monitor.chat` does.

        Calls of one `key` (a user, a conversation) stay at one side while the share grows; without
        a key the option `user` is it, and else each call is for itself. A `model` is asked for at
        both sides. Raises as `Monitor.chat`.
        """
        answer: Reply | Iterator[Event]
        question = {**options, "model": model, "stream": stream}
        answer = run(self._steps(key, Monitor.chat, messages, question))
        return answer

    @overload
    async def achat(
        self, messages: Messages, *, key: str = "", model: str = "",
        stream: Literal[False] = False, **options: Any,
    ) -> Reply:  # fmt: skip
        pass

    @overload
    async def achat(
        self, messages: Messages, *, key: str = "", model: str = "", stream: Literal[True],
        **options: Any,
    ) -> AsyncIterator[Event]:  # fmt: skip
        pass

    async def achat(
        self, messages: Messages, *, key: str = "", model: str = "", stream: bool = False,
        **options: Any,
    ) -> Reply | AsyncIterator[Event]:  # fmt: skip
        """`chat` for asyncio; the task that awaits it may be cancelled."""
        answer: Reply | AsyncIterator[Event]
        question = {**options, "model": model, "stream": stream}
        answer = await arun(self._steps(key, Monitor.achat, messages, question))
        return answer

    def embed(
        self, texts: str | list[str], *, key: str = "", model: str = "", **options: Any
    ) -> Reply:
        """Ask for the vectors of texts, as `Monitor.embed` does; a `key` is that of `chat`.

        Two models have two spaces: vectors of both sides can be compared only if it is one model.
        """
        answer: Reply = run(self._steps(key, Monitor.embed, texts, {**options, "model": model}))
        return answer

    async def aembed(
        self, texts: str | list[str], *, key: str = "", model: str = "", **options: Any
    ) -> Reply:
        """`embed` for asyncio."""
        steps = self._steps(key, Monitor.aembed, texts, {**options, "model": model})
        answer: Reply = await arun(steps)
        return answer

    def _steps(
        self, key: str, ask: Callable[..., Any], question: Any, options: dict[str, Any]
    ) -> Steps:
        """A call at its side, and at the baseline if it failed at the candidate."""
        failed: Place | None = None
        begun = time.perf_counter()
        if self.move.to_candidate(_key(key, options)):
            with at("candidate") as failed:
                try:
                    return (yield lambda: ask(self._candidate, question, **options))
                except CallError as error:
                    if not self.move.may_fall_back(error.error_type, begun):
                        failed.ends()
                        raise
        elif self.move.copied():
            self._shadows.send(question, options)
        with at("fallback" if failed else "baseline", failed):
            return (yield lambda: ask(self.monitor, question, **options))


def _key(key: Any, options: dict[str, Any]) -> str:
    """By what calls stay at a side, whatever a caller has for that: a number, too."""
    return str(options.get("user") or "") if key in {"", None} else str(key)


def _require_one_dialect(old: Target, new: Target) -> None:
    """Raise PlanError for a candidate whose answers would have another shape."""
    if old.endpoint != new.endpoint:
        raise PlanError(
            f"{old.name} speaks {old.endpoint} and {new.name} {new.endpoint}: callers would get "
            f"answers of two shapes; give the candidate endpoint = {old.endpoint!r} (most "
            "providers have a base_url for chat), or the baseline the candidate's."
        )
