"""The Prometheus names of all that is exported, for the exporter, the alerts and the dashboard.

A request is what a caller asked for, an attempt one HTTP exchange of it. `api_*` count requests by
what became of them in the end, but for those that were stopped from our side, so that
`api_errors_total / api_requests_total` is the error rate of a summary.
"""

from collections.abc import Iterable
from typing import Final

from holymon.figures.totals import DOUBLING, SECONDS, Edges
from holymon.plan import slo

REQUESTS: Final = "api_requests_total"
ERRORS: Final = "api_errors_total"
LATENCY: Final = "api_request_latency_seconds"
DURATION: Final = "gen_ai_client_operation_duration_seconds"
TTFT: Final = "gen_ai_client_operation_time_to_first_chunk_seconds"
CHUNK: Final = "gen_ai_client_operation_time_per_output_chunk_seconds"
TOKENS: Final = "gen_ai_client_token_usage"
ATTEMPTS: Final = "holymon_attempts_total"
RETRIES: Final = "holymon_retries_total"
DROPPED: Final = "holymon_client_dropped_total"
STOPPED: Final = "holymon_stopped_total"
VALID: Final = "holymon_run_valid"
LAG: Final = "holymon_event_loop_lag_seconds"

HISTOGRAM_OF: Final = {"latency": LATENCY, "ttft": TTFT}
"""The histogram that an objective on single calls can be watched by."""

WATCHED: Final = (
    "authentication", "permission", "quota_exhausted", "rate_limited", "stream_stalled",
    "stream_truncated",
)  # fmt: skip
"""Error types that are exported as 0 before they are first met: the first one must be a rise."""

_DENSE: Final = tuple(0.001 * 2 ** (k / 4) for k in range(78))


def bucket_edges(objectives: Iterable[str] = (), *, dense: bool = False) -> Edges:
    """The bucket edges of the histograms, in seconds.

    Limits of `objectives` become edges, so that the share of calls over a limit is exact. `dense`
    adds four edges for each doubling from 1 ms to 10 min: a quantile is off by 19 % at most then.
    """
    parsed = [slo.parse(text) for text in objectives]
    more = set(_DENSE) if dense else set()
    limits = {
        metric: {
            objective.limit
            for objective in parsed
            if objective.metric == metric and objective.limit > 0
        }
        for metric in HISTOGRAM_OF
    }
    return Edges(
        latency=tuple(sorted({*SECONDS, *more, *limits["latency"]})),
        duration=tuple(sorted({*DOUBLING, *more})),
        ttft=tuple(sorted({*DOUBLING, *more, *limits["ttft"]})),
        chunk=tuple(sorted({*DOUBLING, *more})),
    )
