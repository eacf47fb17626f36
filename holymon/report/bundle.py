"""What to show a provider: the calls to ask about as one small file, without keys or prompts."""

import platform
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import holymon
from holymon.errors import RunError
from holymon.figures.calls import slowest
from holymon.load.carried import masked
from holymon.load.requests import known_secrets
from holymon.load.run import Run
from holymon.plan.target import Target
from holymon.records.own_files import write_json
from holymon.safety import plain

NAME: Final = "support.json"
CALLS: Final = 20
ABOUT: Final = (
    "Calls to an API as this client measured them, for whoever runs the API. Moments are in UTC; "
    "durations are in seconds and follow one another: schedule_delay_s (the client's own), "
    "connect_s, first_byte_s, first_token_s, decode_s, rest_s. request_id and message are the "
    "server's own. Keys, headers, queries and prompts are not in here."
)


def write_bundle(run: Run, path: Path | str | None = None, *, n: int = CALLS) -> Path:
    """Write the `n` slowest calls of a run, and up to `n` that failed, for its API's support.

    As JSON, which any editor and any ticket takes: with each call's moment, stages, status, request
    id and the server's words, and whether the client was fit to measure. It holds no key, header,
    query or prompt; what a server said may repeat of these what does not look like a key. Gives the
    path: by default `support.json` in the run's folder. Raises PlanError for an `n` that can't be,
    RunError if the file can't be written.
    """
    where = run.folder / NAME if path is None else Path(path)
    content = masked(_content(run, n), known_secrets(run.plan))
    try:
        write_json(where, content)
    except OSError as error:
        raise RunError(f"{plain(str(where))} can't be written: {error.strerror}.") from None
    return where


def _content(run: Run, n: int) -> dict[str, Any]:
    verdict, status = run.verdict().to_dict(), run.status
    return {
        "format": 1,
        "about": ABOUT,
        "made_by": f"holymon {holymon.__version__}, Python {platform.python_version()}, "
                   f"{platform.system()} {platform.machine()}",
        "run_id": run.id,
        "started_at": status.get("started_at"),
        "ended_at": status.get("ended_at"),
        "client": {"measurement": verdict["measurement"], "reasons": verdict["reasons"]},
        "targets": [_target(target) for target in run.plan.targets],
        "load": str(run.plan.load),
        "calls": slowest(run, n).to_dict(),
    }  # fmt: skip


def _target(target: Target) -> dict[str, Any]:
    return {
        "target": target.name, "model": target.model, "endpoint": target.endpoint,
        "host": urlsplit(target.address).hostname if target.base_url else None,
    }  # fmt: skip
