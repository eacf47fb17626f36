"""The machines that the calls of a run were shared out to, as its state keeps them.

Their clocks, how late their records came, and what became of those that were lost. The moments in
records are by each machine's own clock since the start that all of them agreed on.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from holymon.errors import HolymonError
from holymon.formatting import number_of, rounded
from holymon.language.said import listed, say
from holymon.safety import short
from holymon.structs import Struct, from_builtins

SKEWED_S: Final = 1.0
"""A clock that is off by more is worth a sentence of its own."""


class MachineShare(Struct, frozen=True):
    """What is known of one of them; None for what is not (yet) known.

    `name` and `host` are its own words. `clock_s` is how far its clock was ahead of the leader's,
    to within `clock_error_s`; `drift_s` how much more at the end. `round_trip_s` (median) is how
    long it took to fetch what it had, `behind_s` the longest time between two answers, so that
    records were as late on their way. `wire_bytes` came for `records`, packed. `lag_p99_s` is that
    of its loop. `lost_s` is when it was last heard of, in seconds of the run, if it was lost:
    `unsent` calls of it were never made, of `unknown` nobody knows. `folder` is where its files are
    on its own disk, until all of them were fetched.
    """

    part: int
    name: str
    host: str = ""
    clock_s: float | None = None
    clock_error_s: float | None = None
    drift_s: float | None = None
    round_trip_s: float | None = None
    behind_s: float | None = None
    lag_p99_s: float | None = None
    records: int = 0
    wire_bytes: int = 0
    lost_s: float | None = None
    unsent: int = 0
    unknown: int = 0
    folder: str = ""

    @property
    def clock_note(self) -> str:
        """What is to be said of its clock, if that was off by much."""
        if self.clock_s is None or abs(self.clock_s) <= SKEWED_S:
            return ""
        about = {"name": self.label, "s": rounded(abs(self.clock_s))}
        if self.clock_s > 0:
            return say("{name}: its clock is {s} s ahead, which was corrected.", **about)
        return say("{name}: its clock is {s} s behind, which was corrected.", **about)

    @property
    def label(self) -> str:
        """Its name, as it may be shown."""
        return short(self.name, 80)

    @property
    def loss(self) -> str:
        """What is to be said of it if it was lost; else empty."""
        if self.lost_s is None:
            return ""
        parts = []
        if self.unsent:
            parts.append(
                say("{calls} of its share never sent", calls=number_of(self.unsent, "call"))
            )
        if self.unknown:
            parts.append(say("{calls} that it may have sent, recorded as unfinished",
                             calls=number_of(self.unknown, "call")))  # fmt: skip
        rest = listed(", ", parts) or say("all that it had to send was sent")
        return say("{name} was lost after {s} s: {rest}.", name=self.label, rest=rest,
                   s=rounded(self.lost_s))  # fmt: skip

    def kept(self, *, unled: bool) -> str:
        """Where records of it are that nobody fetched, if it was lost or is `unled`; else empty."""
        if not self.folder or not (unled or self.lost_s is not None):
            return ""
        about = {"name": self.label, "folder": short(self.folder), "host": short(self.host, 80)}
        if self.lost_s is not None:
            return say("{name}: records that nobody fetched may be in {folder} on {host}.", **about)
        return say(
            "{name}: records that nobody fetched are in {folder} on {host}: copy calls.{part}.* "
            "from there into the run's folder.", part=self.part, **about,
        )  # fmt: skip


def shares(state: Mapping[str, Any]) -> tuple[MachineShare, ...]:
    """The machines of a run from its state; none for one that was measured on one machine."""
    try:
        return tuple(from_builtins(item, MachineShare, "shares") for item in state["shares"])
    except (HolymonError, KeyError, TypeError):
        return ()


def together(known: Sequence[MachineShare]) -> str:
    """How well the machines of a run agreed, in a line; empty for one machine."""
    if not known:
        return ""
    parts = [number_of(len(known), "worker")]
    errors = [share.clock_error_s for share in known if share.clock_error_s is not None]
    if errors:
        parts.append(say("started together to within {ms} ms", ms=rounded(2e3 * max(errors), 2)))
    behind = [share.behind_s for share in known if share.behind_s is not None]
    if behind:
        parts.append(say("records came at most {s} s late", s=rounded(max(behind), 2)))
    lags = [share.lag_p99_s for share in known if share.lag_p99_s is not None]
    if lags:
        parts.append(say("loops at most {ms} ms late (p99)", ms=rounded(1e3 * max(lags), 2)))
    return listed(", ", parts) + "."
