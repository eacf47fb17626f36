"""Limits of requests and tokens per minute, as OpenAI keeps them and tells them in headers: pure.

A bucket holds as much as a minute allows and fills evenly. What `reset` tells is when it is full
again (developers.openai.com, guides/rate-limits).
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final

MINUTE: Final = 60.0


@dataclass(slots=True)
class Bucket:
    """What is left of a limit per minute at a moment."""

    limit: int
    left: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        """It is full."""
        self.left = float(self.limit)

    def fill(self, now: float) -> None:
        """Add what has run in since it was last looked at."""
        self.left = min(self.limit, self.left + max(now - self.at, 0.0) * self.limit / MINUTE)
        self.at = now

    def wait(self, wanted: float) -> float:
        """Seconds until it holds so much."""
        return max(0.0, (wanted - self.left) * MINUTE / self.limit)


class Buckets:
    """The limits of one model."""

    def __init__(self, requests: int, tokens: int) -> None:
        """So many of both a minute."""
        self.buckets = {"requests": Bucket(requests), "tokens": Bucket(tokens)}

    def take(
        self, now: float, tokens: int, model: str
    ) -> tuple[dict[str, Any] | None, dict[str, str]]:
        """Take a request of so many tokens: the body of its refusal, if any, and the headers."""
        wanted = {"requests": 1, "tokens": tokens}
        for bucket in self.buckets.values():
            bucket.fill(now)
        for name, bucket in self.buckets.items():
            if bucket.left < wanted[name]:
                return self._refusal(name, model, wanted[name])
        for name, bucket in self.buckets.items():
            bucket.left -= wanted[name]
        return None, self.headers

    @property
    def headers(self) -> dict[str, str]:
        """What answers tell of them."""
        fields = {}
        for name, bucket in self.buckets.items():
            fields[f"x-ratelimit-limit-{name}"] = str(bucket.limit)
            fields[f"x-ratelimit-remaining-{name}"] = str(int(bucket.left))
            fields[f"x-ratelimit-reset-{name}"] = span_of(bucket.wait(bucket.limit))
        return fields

    def _refusal(self, name: str, model: str, wanted: int) -> tuple[dict[str, Any], dict[str, str]]:
        """The body and the headers of the 429 for a limit."""
        bucket = self.buckets[name]
        wait = bucket.wait(wanted)
        short = "RPM" if name == "requests" else "TPM"
        message = (
            f"Rate limit reached for {model} in organization org-sim on {name} per min ({short}): "
            f"Limit {bucket.limit}, Used {bucket.limit - int(bucket.left)}, Requested {wanted}. "
            f"Please try again in {span_of(wait)}."
        )
        body = {"message": message, "type": name, "param": None, "code": "rate_limit_exceeded"}
        after = {"retry-after": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1e3))}
        return {"error": body}, {**self.headers, **after}


def span_of(seconds: float) -> str:
    """Seconds as Go writes a duration: `120ms`, `7.66s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1e3)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{minutes:.0f}m{rest:g}s" if minutes else f"{rest:g}s"
