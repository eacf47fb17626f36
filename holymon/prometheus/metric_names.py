"""The Prometheus names of all that is exported, for the exporter, the alerts and the dashboard.

A request is what a caller asked for, an attempt one HTTP exchange of it. `api_*` count requests by
what became of them in the end, but for those that were stopped from our side, so that
`api_errors_total / api_requests_total` is the error rate of a summary. Each target has what it was
asked: a router's request that failed at one and went on at another counts at both.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Final

from holymon.figures.totals import DENSE, DOUBLING, HALVES, SECONDS, Edges
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
IN_FLIGHT: Final = "holymon_in_flight"
LAG: Final = "holymon_event_loop_lag_seconds"
REMAINING: Final = "holymon_ratelimit_remaining"
ROUTE_SHARE: Final = "holymon_route_share"
ROUTE_PROBLEM: Final = "holymon_route_problem"
ROUTE_PROMOTIONS: Final = "holymon_route_promotions_total"
ROLLBACKS: Final = "holymon_route_rollbacks_total"

HISTOGRAM_OF: Final = {"latency": LATENCY, "ttft": TTFT}
"""The histogram that an objective on single calls can be watched by."""

WATCHED: Final = (
    "authentication", "permission", "quota_exhausted", "rate_limited", "stream_stalled",
    "stream_truncated",
)  # fmt: skip
"""Error types that are exported as 0 before they are first met: the first one must be a rise."""


def bucket_edges(objectives: Iterable[str] = (), *, dense: bool = True) -> Edges:
    """The bucket edges of the histograms, in seconds.

    Limits of `objectives` become edges, so that the share of calls over a limit is exact. Without
    `dense` there are those of the article and of OpenTelemetry only: a fifth of the series, and a
    quantile may be off by a factor of two, or between 0 and 0.1 s by anything.
    """
    parsed = [slo.parse(text) for text in objectives]
    limits = {
        metric: {
            objective.limit
            for objective in parsed
            if objective.metric == metric and objective.limit > 0
        }
        for metric in HISTOGRAM_OF
    }

    def edges(more: Iterable[float], *of: Iterable[float]) -> tuple[float, ...]:
        return tuple(sorted({*chain(more if dense else (), *of)}))

    return Edges(
        latency=edges(DENSE, SECONDS, limits["latency"]),
        duration=edges(HALVES, DOUBLING),
        ttft=edges(DENSE, DOUBLING, limits["ttft"]),
        chunk=edges(DENSE, DOUBLING),
    )
