"""The options of the commands, each written once, and the plans that they make."""

import os
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from holymon.cli.asked_options import PROMPTS, prompts_of
from holymon.cli.consent import over_http
from holymon.cli.target_options import ONE_OFF, composed, targets_of, text
from holymon.errors import PlanError, install
from holymon.language.catalogue import ENGLISH, LANGUAGES
from holymon.records.place import ENV as PLACE
from holymon.records.place import checked
from holymon.records.spool import folder_of
from holymon.safety import plain
from holymon.structs import seconds_of

if TYPE_CHECKING:
    from holymon.plan.plan import Closed, Open, Plan
    from holymon.plan.prompts import Prompts

_Number = TypeVar("_Number", int, float)
PATH: Final = click.Path(path_type=Path)


class _Seconds(click.ParamType[float]):
    """A time: a number of seconds, or such as 90s, 1m or 2h."""

    name = "time"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds; what is no time is a wrong usage."""
        try:
            return seconds_of(value) if isinstance(value, str) else value
        except PlanError as error:
            self.fail(str(error), param, ctx)


SECONDS: Final = _Seconds()


class _Folder(click.ParamType[Path]):
    """A folder of runs; of a store the one on this machine that stands for it."""

    name = "path"

    def convert(self, value: str | Path, *_: object) -> Path:
        """The folder. Raises PlanError, ConfigError for an address that can't be one."""
        return folder_of(value)


def _of_place(_: click.Context, __: click.Parameter, value: str | None) -> None:
    """Hand the name of the place on to whatever measures."""
    if value is not None:
        os.environ[PLACE] = checked(value)


class Command(click.Command):
    """A command whose help lists its options by what they are about."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group of `_SECTIONS` that has options here, then the rest."""
        titles = {name: title for title, names in _SECTIONS.items() for name in names.split()}
        rows: dict[str, list[tuple[str, str]]] = {title: [] for title in (*_SECTIONS, "Options")}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if row:
                rows[titles.get(parameter.name or "", "Options")].append(row)
        for title, records in rows.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


_SECTIONS: Final = {
    "Target": "base_url model api_key_env endpoint auth header query trust insecure_http",
    "Load": "shape arrivals rate concurrency duration requests warmup",
    "Decision": "calls_per_month min_saving one_off work hourly fx fee min_topup credit_days",
    "Search": "start most precision budget max_calls",
    "What is asked": "prompt pictures prompts_file trace trace_window trace_speed trace_unit "
    "column turns think_time recorded_answers system prompt_tokens max_tokens prefix_tokens "
    "unique exact_tokens field no_stream",
    "Sending": "workers dask seed timeout first_byte stall max_cost no_first_call",
}


SENDING: Final = composed(
    click.option("--workers", type=int, default=1, help="Processes that send."),
    click.option("--seed", type=int, default=0, help="Makes a random schedule repeatable."),
    click.option(
        "--timeout",
        type=SECONDS,
        help="Seconds for one call, and for each part of it that "
        "has no limit of its own. [default: 120]",
    ),
    click.option(
        "--first-byte", type=SECONDS, help="Seconds until its headers come. [default: --timeout]"
    ),
    click.option(
        "--stall",
        type=SECONDS,
        help="Seconds until each token of a stream comes. "
        "[default: 30 between two tokens, or --timeout if that is given]",
    ),
    click.option(
        "--max-cost",
        type=float,
        metavar="USD",
        help="Stop before more is spent; a call that was never counted is charged at its most.",
    ),
    click.option(
        "--no-first-call",
        is_flag=True,
        help="Begin without the one call to each target that tells whether its key, model and "
        "fields are taken (a server sees it with the header x-holymon-first-call).",
    ),
)
SLO: Final = click.option(
    "--slo", multiple=True, metavar="EXPR", help="An objective such as 'ttft_p95<0.5' or "
    "'error_rate<1%'; may be given several times. On a duration a failed call took for ever; "
    "'ttft_p95_of_successes<0.5' leaves those that failed out.",
)  # fmt: skip
FOLDER: Final = _Folder()
OUT: Final = click.option("--out", type=FOLDER, default=Path("reports"), help="Folder of all runs, "
                          f"or s3://bucket/prefix ({install('s3')}).")  # fmt: skip
JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
RUN: Final = click.option("--run", "wanted", metavar="RUN", help="This run only: an id, a name for "
                          "its latest, or last.")  # fmt: skip
LANG: Final = click.option("--lang", type=click.Choice(LANGUAGES), default=ENGLISH,
                           help="The language of the report.")  # fmt: skip
PORT: Final = click.option("--port", type=int, default=9464, help="Port of `holymon metrics`.")
DASK: Final = click.option(
    "--dask", metavar="ADDRESS", help="The scheduler of a Dask cluster, such as tcp://host:8786, "
    "whose workers make the calls: --workers of them, or all. [default: this machine]",
)  # fmt: skip
PLAN: Final = composed(
    ONE_OFF,
    click.option("--shape", help="When calls are sent: constant, poisson, gamma:CV, ramp:FROM,TO, "
                 "steps:R1,R2,..., spike:BASE,PEAK, sine:MEAN,AMPLITUDE[,PERIOD], replay:FILE"
                 "[,SPEED], or closed: each user after the last answer. "
                 "[default: constant; closed with --concurrency]"),
    text("--arrivals", help="How calls spread around a shape: constant, poisson, gamma:CV. "
         "[default: constant]"),
    click.option("--rate", help="Calls per second for each target; several, as 5,10,20, are a "
                 "sweep: one run after another. [default: 5]"),
    click.option("--concurrency", help="Users of a closed loop for each target; several, as "
                 "1,4,16, are a sweep."),
    click.option("--duration", type=SECONDS, help="Seconds, or such as 90s, 1m, 2h. "
                 "[default: 30, unless --requests]"),
    click.option("--requests", type=int, help="Calls for each target; with --turns, "
                 "conversations."),
    click.option("--warmup", type=SECONDS, default=0.0,
                 help="Seconds before that, recorded but in no figure."),
    PROMPTS,
    SENDING,
    text("--name", help="Name of the run. [default: made from the models]"),
    click.option("--place", metavar="NAME", callback=_of_place, expose_value=False,
                 help="Where this is measured, for runs of several places in one store. "
                 "[default: what HOLYMON_PLACE says, else none is stated]"),
    SLO,
)  # fmt: skip
"""Everything that makes a plan."""

LOAD: Final = composed(PLAN, OUT)


def given(ctx: click.Context) -> set[str]:
    """The options that were written in the command, by their names there."""
    return {
        option.opts[0]
        for option in ctx.command.params
        if isinstance(option, click.Option)
        and ctx.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
    }


def plans_of(
    targets: tuple[str, ...], *, base_url: str | None, model: tuple[str, ...], api_key_env: str,
    workers: int, seed: int, timeout: float | None, first_byte: float | None,
    stall: float | None, name: str, slo: tuple[str, ...],
    shape: str | None = None, arrivals: str = "", rate: str | None = None,
    concurrency: str | None = None, duration: float | None = None, requests: int | None = None,
    warmup: float = 0.0, max_cost: float | None = None, no_first_call: bool = False,
    insecure_http: bool = False, endpoint: str = "", auth: str = "", header: tuple[str, ...] = (),
    query: tuple[str, ...] = (), field: tuple[str, ...] = (),
    **wanted: Any,
) -> "tuple[Plan, ...]":  # fmt: skip
    """The plan that the options describe, or those of a sweep. Raises PlanError, ConfigError."""
    from holymon.plan.plan import TIMEOUT_S, Plan
    from holymon.plan.ways import with_ways

    recorded = wanted.get("trace") is not None or (shape or "").startswith("replay:")
    if duration is None and requests is None and not recorded:
        duration = 30.0
    prompts = prompts_of(seed, **wanted)
    if wanted.get("trace") is not None:
        held = prompts.turns > 1  # their times were divided by the speed already
        speed = 1.0 if held else wanted["trace_speed"]
        loads = _of_trace(prompts, speed, shape, arrivals, rate, concurrency)
    else:
        loads = _loads(shape, arrivals, rate, concurrency, duration)
    called = over_http(targets_of(targets, base_url, model, api_key_env), insecure_http)
    plan = Plan(
        targets=with_ways(called, endpoint, auth, header, query, field),
        load=loads[0],
        prompts=prompts,
        duration_s=duration, requests=requests, warmup_s=warmup, max_cost=max_cost,
        timeout_s=TIMEOUT_S if timeout is None else timeout, first_byte_s=first_byte, stall_s=stall,
        workers=workers, seed=seed, name=name, slo=slo, first_call=not no_first_call,
    )  # fmt: skip
    return plan.sweep(*loads)


def plan_of(targets: tuple[str, ...], what: str, **options: Any) -> "Plan":
    """The one plan that the options describe, for `what`. Raises as `plans_of`, and for a sweep."""
    plan, *more = plans_of(targets, **options)
    if more:
        raise PlanError(f"{what} is on one load: give one --rate or --concurrency.")
    return plan


def _of_trace(prompts: "Prompts", speed: float, *others: str | None) -> "list[Open | Closed]":
    """The load that sends the requests of a trace when they came."""
    from holymon.plan.plan import Open

    if any(others) or prompts.dataset is None:
        raise PlanError("--trace says when calls are sent: leave out --shape, --rate and the like.")
    return [Open(prompts.dataset.replay(speed=speed))]


def _loads(
    shape: str | None, arrivals: str, rate: str | None, users: str | None, seconds: float | None
) -> "list[Open | Closed]":
    from holymon.plan import shapes
    from holymon.plan.plan import Closed, Open
    from holymon.plan.replay_file import replay

    if shape == "closed" or (shape is None and users is not None):
        if rate is not None or arrivals:
            option = "--rate" if rate is not None else "--arrivals"
            raise PlanError(f"{option} does not go with a closed loop: its users set the pace.")
        return [
            Closed(users=n) for n in _several("1" if users is None else users, "concurrency", int)
        ]
    if users is not None:
        raise PlanError(f"--concurrency does not go with --shape {plain(str(shape))}: use --rate.")
    shape = "constant" if shape is None else shape
    kind, _, recording = shape.partition(":")
    paced = kind in {"constant", "poisson", "gamma"}
    if rate is not None and not paced:
        raise PlanError(f"--rate does not go with --shape {plain(kind)}, which has its own rates.")
    if arrivals and kind in {"poisson", "gamma", "replay"}:
        raise PlanError(f"--arrivals does not go with --shape {kind}, which has its own.")
    if kind == "replay":
        file, _, speed = recording.rpartition(",") if "," in recording else (recording, "", "1")
        return [Open(replay(Path(file), speed=_several(speed, "speed", float)[0]))]
    rates = _several("5" if rate is None else rate, "rate", float)
    return [Open(shapes.parse(shape, rate=r, seconds=seconds, arrivals=arrivals)) for r in rates]


def _several(listed: str, field: str, kind: type[_Number]) -> list[_Number]:
    try:
        return [kind(part) for part in listed.split(",")]
    except ValueError:
        raise PlanError(
            f"{field} {plain(listed)!r} is not a number, nor several with commas between."
        ) from None


def share_in(text: str) -> float:
    """The share that somebody wrote: `20%` or `0.2`. Raises PlanError if it is no number."""
    number, sign, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if sign else 1)
    except ValueError:
        share = nan
    if rest or isnan(share):
        raise PlanError(f"{plain(text)!r} is no share: write one like 20% or 0.2.")
    return share
