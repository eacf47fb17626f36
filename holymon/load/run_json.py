"""A run as JSON: the object that `--json` prints and that `run.json` begins with."""

from typing import TYPE_CHECKING, Any

from holymon.records.run_state import proxies
from holymon.records.shares import shares
from holymon.structs import to_builtins

if TYPE_CHECKING:
    from holymon.load.run import Run


def of(run: "Run") -> dict[str, Any]:
    """What it is, its figures and its verdict."""
    summary, status = run.summary(), run.status
    judged, sizes = run.verdict(), run.sizes()
    return {
        "run_id": run.id,
        "state": status["state"],
        "ended": status.get("ended"),
        "plan": to_builtins(run.plan),
        "started_at": status.get("started_at"),
        "place": status.get("place"),
        "duration_s": summary.duration_s,
        "simulated": summary.simulated,
        "verdict": judged.to_dict(),
        "targets": [
            {**target.to_dict(), "sizes": effect.to_dict()}
            for target, effect in zip(summary.targets, sizes.targets, strict=True)
        ],
        "turns": [held.to_dict() for held in run.turns().targets],
        "compared_at_tokens": sizes.reference,
        "first_calls": [to_builtins(call) for call in run.first_calls],
        "proxies": proxies(status),
        "shares": [to_builtins(share) for share in shares(status)],
        "cost_usd": summary.cost_usd,
        "client": {**run.vitals.to_dict(), "disturbed": to_builtins(judged.touched)},
    }
