"""A plan as an Indexed Job of Kubernetes: one pod for each share, none of which is tried again.

    Job(...).documents --> ConfigMap (plan.json) and Job (batch/v1), as plain data for YAML

Sources: kubernetes.io/docs/concepts/workloads/controllers/job (completion mode, backoff limit per
index, pod failure policy), .../docs/concepts/security/pod-security-standards (restricted),
.../docs/concepts/configuration/configmap (its limit of 1 MiB).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from holymon.records.run_folder import MOST_SHARES
from holymon.records.store import check_url, is_url
from holymon.safety import plain
from holymon.structs import check_range, require

MOST_OF_A_CONFIGMAP: Final = 2**20
"""Bytes, of all that is in it (kubernetes.io/docs/concepts/configuration/configmap)."""

GRACE_S: Final = 30
"""From SIGTERM, at which a worker writes down what it has, to SIGKILL."""

KEPT_S: Final = 86_400
LONGEST_NAME: Final = 52
"""Of 63 letters of a label: its pods are called by it, their numbers and five more."""

STORE: Final = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
)  # fmt: skip
"""What a store may want, as AWS's own tools take it."""

USER: Final = 10_001
PLAN, ROOM = "/plan", "/tmp"  # noqa: S108 - of the pod alone
_QUANTITY: Final = re.compile(r"[1-9]\d*(\.\d+)?(m|[kMG]i?)?")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_FOLDER: Final = re.compile(r"(/[A-Za-z0-9._-]+)+")
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")


@dataclass(frozen=True, slots=True)
class Job:
    """What the pods are to do: the files of a plan, in how many shares, from when on until when.

    `run_id` is the run's `name/UTC` in `runs`: the folder where the claim is mounted, or a store,
    which needs no claim. `files` are those of the ConfigMap by their names; `variables` are read
    from `secret` by their names, those of STORE, too, if it has them.
    """

    run_id: str
    image: str
    pods: int
    start: datetime
    until: datetime
    deadline_s: float
    files: Mapping[str, str]
    claim: str = "holymon-reports"
    secret: str = "holymon"  # noqa: S105 - the name of one
    runs: str = "/runs"
    variables: tuple[str, ...] = ()
    trust: str = ""
    cpu: str = "1"
    memory: str = "1Gi"

    def __post_init__(self) -> None:
        """Raise PlanError for what a manifest can't hold: which field, what is wrong, its mend."""
        check_range("pods", self.pods, 1, MOST_SHARES)
        check = {
            "image": (_IMAGE, "REGISTRY/holymon:VERSION"), "claim": (_NAME, "holymon-reports"),
            "secret": (_NAME, "holymon"), "cpu": (_QUANTITY, "1"), "memory": (_QUANTITY, "1Gi"),
            "out": (_FOLDER, "/runs"),
        }  # fmt: skip
        if self.in_store:
            check_url(self.runs)
            del check["out"]
        for field, (pattern, mend) in check.items():
            value = self.runs if field == "out" else getattr(self, field)
            good = bool(pattern.fullmatch(value)) and len(value) <= 253
            require(good, field, f"is {plain(value)!r}, which Kubernetes does not take",
                    f"write one like {mend}")  # fmt: skip
        size = sum(len(name) + len(text.encode()) for name, text in self.files.items())
        require(size <= MOST_OF_A_CONFIGMAP, "the plan", f"has {size:,} bytes with what it asks, "
                f"and a ConfigMap holds {MOST_OF_A_CONFIGMAP:,}", "ask fewer or shorter prompts, "
                "or made-up ones with --prompt-tokens")  # fmt: skip

    @property
    def in_store(self) -> bool:
        """Whether the run is in an object store, and not in a folder that all pods share."""
        return is_url(self.runs)

    @property
    def name(self) -> str:
        """The name of the Job: the run's, as far as a label of DNS can hold it, and its moment."""
        run, _, stamp = self.run_id.lower().partition("/")
        words = re.sub(r"[^a-z0-9]+", "-", f"holymon-{run}").strip("-")
        return f"{words[: LONGEST_NAME - len(stamp) - 1].strip('-')}-{stamp}"

    @property
    def documents(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is created: the plan, and the Job."""
        about = {"name": self.name, "labels": {"app.kubernetes.io/name": "holymon"}}
        plan = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "immutable": True,
                "data": dict(self.files)}  # fmt: skip
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": self._spec}
        return plan, job

    @property
    def _spec(self) -> dict[str, Any]:
        never = {"action": "FailIndex"}
        return {
            "completions": self.pods, "parallelism": self.pods, "completionMode": "Indexed",
            # A pod that ended badly is never tried again: its calls may have been paid for. With
            # `backoffLimit: 0` the first one would end all others, so each index has its own limit.
            "backoffLimitPerIndex": 0, "maxFailedIndexes": self.pods,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": [
                never | {"onExitCodes": {"operator": "NotIn", "values": [0]}},
                never | {"onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]},
            "activeDeadlineSeconds": math.ceil(self.deadline_s),
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {"metadata": {"labels": {"app.kubernetes.io/name": "holymon"}},
                         "spec": self._pod},
        }  # fmt: skip

    @property
    def command(self) -> list[str]:
        """What each pod runs; which of them it is, Kubernetes says in JOB_COMPLETION_INDEX."""
        return ["python", "-P", "-m", "holymon.cluster.pod", PLAN, f"{self.runs}/{self.run_id}",
                "--of", str(self.pods), "--start", self.start.isoformat(),
                "--until", self.until.isoformat()]  # fmt: skip

    @property
    def _pod(self) -> dict[str, Any]:
        shared = not self.in_store
        apart = {
            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"batch.kubernetes.io/job-name": self.name}},
        }  # fmt: skip
        return {
            "restartPolicy": "Never", "terminationGracePeriodSeconds": GRACE_S,
            "automountServiceAccountToken": False, "enableServiceLinks": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER,
                                "fsGroup": USER, "seccompProfile": {"type": "RuntimeDefault"}},
            "topologySpreadConstraints": [apart], "containers": [self._container],
            "volumes": [
                {"name": "plan", "configMap": {"name": self.name}},
                {"name": "room", "emptyDir": {}},
                *[{"name": "runs", "persistentVolumeClaim": {"claimName": self.claim}}] * shared,
            ],
        }  # fmt: skip

    @property
    def _container(self) -> dict[str, Any]:
        mine: dict[str, dict[str, Any]] = {
            name: {"name": self.secret, "key": name} for name in self.variables
        }
        if self.in_store:  # which may know its pods without keys
            mine |= {name: {"name": self.secret, "key": name, "optional": True} for name in STORE}
        keys = [{"name": name, "valueFrom": {"secretKeyRef": key}} for name, key in mine.items()]
        given = {"HOME": ROOM, "HOLYMON_TRUST": self.trust}
        # As much as it asks for, and no more: then a node never takes it away again ("Guaranteed").
        size = {"cpu": self.cpu, "memory": self.memory}
        return {
            "name": "worker", "image": self.image,
            # Kubernetes would put the value of a variable where $(NAME) stands.
            "command": [word.replace("$", "$$") for word in self.command],
            "env": [*({"name": name, "value": value.replace("$", "$$")}
                      for name, value in given.items() if value), *keys],
            "resources": {"requests": size, "limits": dict(size)},
            "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [
                {"name": "plan", "mountPath": PLAN, "readOnly": True},
                {"name": "room", "mountPath": ROOM},
                *[{"name": "runs", "mountPath": self.runs}] * (not self.in_store),
            ],
        }  # fmt: skip
