"""The command `holymon job`: a plan as an Indexed Job of Kubernetes, whose pods make one run."""

import math
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import Any, Final

import click

from holymon.cli.consent import agreed
from holymon.cli.manifest import STORE, Job
from holymon.cli.options import PLAN, Command, plans_of
from holymon.cli.output import say
from holymon.cli.scheduled import NOT_RUN
from holymon.errors import PlanError
from holymon.formatting import file_name
from holymon.safety import plain
from holymon.structs import require, seconds_of

SLACK_S: Final = 60.0
"""After the last call could have ended, for what a pod has to write down."""

SOONEST_S: Final = 30.0
LATEST_S: Final = 86_400.0


@click.command(cls=Command)
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@PLAN
@click.option("--pods", type=int, required=True, help="How many share the calls, each on a core.")
@click.option("--container-image", "image", required=True, metavar="IMAGE", help="An image in "
              "which `python` has holymon, of this version.")  # fmt: skip
@click.option("--start", default="5m", metavar="TIME", help="When all begin, for which the pods "
              "wait: in so long, or a moment such as 2026-01-31T12:00:00Z.")  # fmt: skip
@click.option("--claim", default="holymon-reports", metavar="NAME", help="The volume claim of a "
              "folder that all pods share (ReadWriteMany); a store needs none.")  # fmt: skip
@click.option("--secret", default="holymon", metavar="NAME", help="The Secret that has the keys, "
              "by the names of their variables.")  # fmt: skip
@click.option("--cpu", default="1", help="Cores of a pod: one worker needs one.")
@click.option("--memory", default="1Gi", help="Memory of a pod.")
@click.option("--out", default="/runs", metavar="DIR|URL", help="Where the pods see that folder; "
              "or a store, as s3://bucket/prefix, whose keys may be in the Secret.")  # fmt: skip
def job(
    targets: tuple[str, ...], pods: int, image: str, start: str, claim: str, secret: str, cpu: str,
    memory: str, out: str, **options: Any,
) -> None:  # fmt: skip
    """Print a manifest by which pods of a Kubernetes cluster measure TARGETs together.

    Each makes its share of the calls, all from the same moment on; none is ever tried again, so no
    call is paid for twice. No key is in it: the pods read them from a Secret. Give it to
    `kubectl create -f -`, and see the run by its folder: hm.attach("NAME/UTC", out=...). A pod that
    never came, or was lost, is in the verdict, with what it did not call. In a store they have sent
    all but the last second before they are killed, and `holymon runs URL --sync` makes a run of it.

    Not run on a cluster here: checked by Kubernetes' own schemas and run as several processes.
    """
    from holymon.cluster.pod import files_of
    from holymon.plan.targets import with_prices
    from holymon.records import run_folder

    plans = plans_of(targets, **options)
    require(len(plans) == 1, "a job", "is on one load", "give one --rate or --concurrency")
    plan = with_prices(plans[0])
    require(plan.workers == 1, "--workers", "is of one machine", "say how many with --pods")
    _require_reachable(plan)
    agreed(plan.targets, sent=False)
    now = run_folder.now()
    begins = _moment(start, now)
    ahead = (begins - now).total_seconds()
    when = "has passed" if ahead < 0 else f"is in {ahead:.0f} s"
    when = when if ahead <= LATEST_S else "is more than a day ahead"
    soon = SOONEST_S <= ahead <= LATEST_S
    require(soon, "--start", when, "give pods from 30 s to a day to come up")
    until = begins + timedelta(seconds=plan.seconds + plan.timeout_s + SLACK_S)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    known = Job(
        run_id=f"{file_name(plan.run_name)}/{stamp}", image=image, pods=pods, start=begins,
        until=until, deadline_s=math.ceil((until - now).total_seconds()), files=files_of(plan),
        claim=claim, secret=secret, runs=out, cpu=cpu, memory=memory, trust=_trust(plan),
        variables=tuple(dict.fromkeys(v for t in plan.targets for v in t.variables)),
    )  # fmt: skip
    say(NOT_RUN + text_of(known))
    for sentence in _remarks(known, ahead, private=plan.prompts.private):
        say(sentence, err=True)


def text_of(known: Job) -> str:
    """The manifest; whatever stands in it is a text there: PyYAML quotes what it has to."""
    import yaml

    from holymon.cli import quoting
    from holymon.cli.init_folder import Readable

    documents = yaml.dump_all(known.documents, Dumper=Readable, sort_keys=False, width=quoting.WIDE)
    return str(documents).rstrip("\n")


def _moment(text: str, now: datetime) -> datetime:
    """When the run begins, at a whole second. Raises PlanError for what is no time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            ahead = min(seconds_of(text), 2 * LATEST_S)  # far ahead is too late, however far it is
        except PlanError:
            raise PlanError(f"--start {plain(text)!r} is no time: write in how long, such as 5m, "
                            "or a moment, such as 2026-01-31T12:00:00Z.") from None  # fmt: skip
        moment = now + timedelta(seconds=ahead + 1)
    require(moment.tzinfo is not None, "--start", "has no time zone", "end it with Z for UTC")
    in_time = 1 < moment.year < MAXYEAR
    require(in_time, "--start", f"is in the year {moment.year}", "name a moment of today")
    return moment.astimezone(UTC).replace(microsecond=0)


def _require_reachable(plan: Any) -> None:
    """Raise PlanError for targets that a pod does not have."""
    for target in plan.targets:
        if not target.base_url:
            raise PlanError(
                f"{plain(target.name)} is simulated on this machine, where no pod is: run "
                "`holymon sim --host ...` where the pods reach it, and name it by --base-url."
            )
        if target.ca_file or target.cert_file:
            raise PlanError(
                f"{plain(target.name)} has a file of certificates, which is not in the image: "
                "build it into that, and give SSL_CERT_FILE there."
            )


def _trust(plan: Any) -> str:
    """What the owner of the keys has agreed to, for the pods: they take a plan for others' word."""
    from holymon.plan import consent

    return " ".join(sending.line for sending in consent.sendings(plan.targets))


def _remarks(known: Job, ahead: float, *, private: bool) -> list[str]:
    keys = ", ".join(known.variables)
    return [
        f"{known.run_id}: {known.pods} pods begin in {ahead:.0f} s, at {known.start:%H:%M:%S} UTC; "
        "create it now, with `kubectl create -f`: what comes later calls nobody.",
        *[f"The Secret {known.secret} must have {keys}."] * bool(keys),
        *["The ConfigMap holds prompts of your own, for whoever may read it there."] * private,
        _whereabouts(known),
    ]


def _whereabouts(known: Job) -> str:
    if not known.in_store:
        return f"The run will be in {known.runs}/{known.run_id} of the claim {known.claim}."
    return (
        f"The Secret {known.secret} may have {', '.join(STORE)} for {known.runs}; else the pods "
        f'need a role. The run: hm.attach("{known.run_id}", out="{known.runs}"), listed once '
        f"`holymon runs {known.runs} --sync` has made one of it."
    )
