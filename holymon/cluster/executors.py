"""Where a plan is measured: `hm.start` and `hm.measure`, here or on the workers of Dask."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from holymon.cluster import remote
from holymon.errors import ConfigError, HolymonError, RunError, install
from holymon.load import run
from holymon.load.process import LOCAL, Executor, Process, begin
from holymon.load.run import Run
from holymon.plan import consent
from holymon.plan.plan import Closed, Plan
from holymon.safety import plain, short
from holymon.sim.process import PYTHON_M
from holymon.structs import replace

if TYPE_CHECKING:
    from distributed import Client

ANSWER_S: Final = 10
_TLS: Final = "DASK_DISTRIBUTED__COMM__TLS__"
_FIELDS: Final = {
    "CA_FILE": "tls_ca_file", "CLIENT__CERT": "tls_client_cert", "CLIENT__KEY": "tls_client_key",
    "CIPHERS": "tls_ciphers",
}  # fmt: skip


def start(
    plan: Plan, *, out: Path | str = "reports", detached: bool = True,
    on: "Client | str | None" = None,
) -> Run:  # fmt: skip
    """Measure `plan` in worker processes of its own, and return at once.

    They are on this machine, or, `on` a Dask client or the address of a Dask scheduler, on Dask's
    workers: each makes its share of the calls beside Dask's own work, with its own records, which
    come here while the run goes on. `plan.workers` says how many; 1, the default, is all of them.
    A detached run outlives this process: `attach` finds it again. Otherwise it ends with this
    process. Raises ConfigError for a key that is missing or may not go there, an address or a proxy
    that can't be, a Dask worker of another version, RunError if the folder can't be written or no
    scheduler answers.
    """
    if on is None:
        return run.start(plan, out=out, detached=detached, executor=LOCAL)
    with _connected(on) as client:
        return run.start(plan, out=out, detached=detached, executor=DaskWorkers(client))


def measure(
    plan: Plan, *, out: Path | str = "reports", on: "Client | str | None" = None
) -> Run:  # fmt: skip
    """Measure `plan`, wait for its end, and return the run. It ends early with this process.

    `on` is as in `start`.
    """
    return start(plan, out=out, detached=False, on=on).wait()


@contextlib.contextmanager
def _connected(on: Any) -> Iterator[Any]:
    """The client, or one of the scheduler at an address. Raises ConfigError, RunError."""
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(f"Dask is not installed: {install('dask')}.") from None
    if not isinstance(on, str):
        if getattr(on, "asynchronous", True):
            raise ConfigError("`on` must be a dask.distributed.Client that is not asynchronous.")
        yield on
        return
    client: Any = Client.__new__(Client)
    try:
        client.__init__(on, timeout=ANSWER_S, set_as_default=False)
        yield client
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise _unreached(plain(on), error) from None
    finally:
        _ended(client)


def _ended(client: Any) -> None:
    """Close a client and end its thread, also of one that never connected, which Dask leaves open.

    What is left of that one would be collected at any moment: in the thread of the next client,
    that waits for a lock which its own maker holds, and both fail after 10 s.
    """
    with contextlib.suppress(AttributeError):  # of one that had not even a loop
        client.close()
        client._loop_runner.stop()


def _unreached(address: str, error: Exception) -> HolymonError:
    """Why no scheduler could be reached at an address; Dask raises TypeError without TLS files."""
    why, secured = short(str(error)), address.startswith("tls:")
    if secured and isinstance(error, TypeError | FileNotFoundError):
        return ConfigError(
            f"{address} needs TLS files, which are not named or not there: set {_TLS}CA_FILE, "
            f"{_TLS}CLIENT__CERT and {_TLS}CLIENT__KEY, or distributed.comm.tls in Dask's settings."
        )
    if isinstance(error, TypeError):
        raise error
    if secured and "certificate does not match" in why:
        why = f"its certificate is not of the authority that is trusted here (see {_TLS}CA_FILE)."
    elif secured:
        why = f"it speaks no TLS, or does not take this client's certificate ({why or 'no answer'})"
    elif "(closed)" in why:
        why = f"it may want TLS: write tls://... ({why})"
    return RunError(f"no Dask scheduler answers at {address}: {why}")


class DaskWorkers(Executor):
    """The workers of a Dask cluster, a share of the plan each; a process of its own leads them."""

    def __init__(self, client: "Client", *, keep: bool = False) -> None:
        """Use the workers that the client's scheduler knows; with `keep` their files stay there."""
        self._client: Any = client
        self._more = ["--keep"] if keep else []
        self._chosen: dict[str, str] = {}

    def placed(self, plan: Plan) -> Plan:
        """The plan for as many workers as there are. Raises ConfigError for those that can't."""
        consent.require(plan.targets)
        scheduler = self._client.scheduler.address
        if scheduler.startswith("inproc"):
            raise ConfigError(
                "this Dask cluster lives inside of this process alone: use "
                "LocalCluster(processes=True)."
            )
        known = self._client.scheduler_info(n_workers=-1)["workers"]
        names = {address: str(about["name"]) for address, about in known.items()}
        wanted = plan.workers if plan.workers > 1 else len(names)
        if not names or wanted > len(names):
            raise ConfigError(
                f"{wanted or 1} Dask workers are wanted, {len(names)} are there: start more with "
                f"`dask worker {scheduler}`."
            )
        self._chosen = dict(sorted(names.items(), key=lambda item: (item[1], item[0]))[:wanted])
        self._examine(plan)
        return replace(plan, workers=wanted)

    def _examine(self, plan: Plan) -> None:
        """Raise ConfigError, with the worker's name, if one is of another version or lacks a key.

        Nothing is sent yet but the targets, without what is asked.
        """
        called = Plan(targets=plan.targets, load=Closed(users=1), requests=1).to_json()
        answers = self._client.run(
            remote.examine, called, workers=[*self._chosen], on_error="return"
        )
        mine = remote.version()
        for address, name in self._chosen.items():
            about = answers.get(address)
            where = f"the Dask worker {plain(name)} ({address})"
            if not isinstance(about, dict):
                why = short(f"{type(about).__name__}: {about}", 200)
                raise ConfigError(
                    f"{where} can't run this holymon ({why}): install {mine[0]} there."
                )
            if list(about["version"]) != mine:
                theirs = short(str(about["version"][0]), 40)
                raise ConfigError(
                    f"{where} has holymon {theirs}, here is {mine[0]}: have the same."
                )
            if about["problem"]:
                raise ConfigError(f"{where}: {short(str(about['problem']))}")

    def launch(self, folder: Path, plan: Plan, *, detached: bool) -> Process:
        """Start the process that leads them."""
        command = [*PYTHON_M, "holymon.cluster.leader", str(folder.resolve()), "--scheduler",
                   self._client.scheduler.address]  # fmt: skip
        for address, name in self._chosen.items():
            command += ["--worker", f"{address}={name}"]
        command += self._more
        environment = consent.inherited(plan.targets) or dict(os.environ)
        environment.setdefault("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "15s")
        security = getattr(self._client, "security", None)
        for name, field in _FIELDS.items():  # a client may have others than Dask's settings have
            if value := getattr(security, field, None):
                environment[_TLS + name] = str(value)
        return begin(folder, command, environment, detached=detached)
