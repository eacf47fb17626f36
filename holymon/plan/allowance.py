"""What a target's API allows in a minute, as its user wrote it down."""

from holymon.structs import Struct, check_range


class Allowance(Struct, frozen=True):
    """Requests and tokens (in and out) that an API takes in a minute; None is "not known"."""

    requests: float | None = None
    tokens: float | None = None

    def __post_init__(self) -> None:
        """Raise PlanError if a limit is below 1."""
        super().__post_init__()
        for name in ("requests", "tokens"):
            check_range(f"limit of {name}", getattr(self, name), 1, 1e12, "a minute")
