"""A manifest is one that Kubernetes takes, holds no key, and its pods make one run, each call once."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from datetime import UTC, datetime, timedelta

import kubernetes_validate
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import holymon as hm
from holymon.cli.job import text_of
from holymon.cli.main import main
from holymon.cli.manifest import LONGEST_NAME, MOST_OF_A_CONFIGMAP, Job
from holymon.cluster.pod import pause
from holymon.errors import RunError
from holymon.load import arriving
from holymon.load.arriving import Sender
from holymon.records.frames import Frames
from holymon.records.spool import folder_of
from holymon.records.store import opened
from tests.catalogue.faulty import server

__all__ = ["server"]

KEY = "sk-canary-0123456789abcdef"
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PODS, RATE, SECONDS = 3, 30, 2


def written(*words, **env):
    done = CliRunner().invoke(main, ["job", *words], env={"MY_KEY": KEY, **env})
    return done, [*yaml.safe_load_all(done.stdout)] if done.exit_code == 0 else []


def usual(base_url="https://api.example.com/v1", **more):
    given = {"base-url": base_url, "model": "fast", "pods": PODS, "container-image": "r.example/holymon:1",
             "duration": SECONDS, "rate": RATE, "max-tokens": 2, "timeout": 1, **more}  # fmt: skip
    return [str(word) for name, value in given.items() for word in (f"--{name}", value)]


@pytest.fixture(scope="module")
def manifest():
    done, documents = written(*usual(**{"api-key-env": "MY_KEY", "name": "A Job: ü"}))
    assert done.exit_code == 0, done.output
    return done, *documents


def test_no_pod_is_ever_tried_again_and_none_takes_the_others_with_it(manifest):
    """What the API server demands beyond the schema: kubernetes.io/docs/concepts/workloads/controllers/job."""
    spec = manifest[2]["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == (
        "Indexed",
        PODS,
        PODS,
    )
    assert spec["template"]["spec"]["restartPolicy"] == "Never", "else no pod failure policy"
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (0, PODS)
    assert "backoffLimit" not in spec, "its 0 would end all pods with the first that fails"
    rules = spec["podFailurePolicy"]["rules"]
    assert {rule["action"] for rule in rules} == {"FailIndex"}, "Ignore would make the calls again"
    assert rules[0]["onExitCodes"] == {"operator": "NotIn", "values": [0]}
    assert rules[1]["onPodConditions"][0]["type"] == "DisruptionTarget"
    name = manifest[2]["metadata"]["name"]
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= LONGEST_NAME


def test_it_passes_the_restricted_profile(manifest):
    """kubernetes.io/docs/concepts/security/pod-security-standards, "Restricted", field by field."""
    pod = manifest[2]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds == {"configMap", "persistentVolumeClaim", "emptyDir"}
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_a_key_is_named_and_in_no_part_of_it(manifest):
    done, plan, job = manifest
    assert KEY not in done.output
    (container,) = job["spec"]["template"]["spec"]["containers"]
    known = {item["name"]: item for item in container["env"]}
    assert known["MY_KEY"]["valueFrom"]["secretKeyRef"] == {"name": "holymon", "key": "MY_KEY"}
    assert known["HOLYMON_TRUST"]["value"] == "MY_KEY=https://api.example.com/v1"
    assert hm.Plan.from_json(plan["data"]["plan.json"]).targets[0].api_key_env == "MY_KEY"
    assert "Not run here" in done.stdout
    assert "Not run on a cluster here" in CliRunner().invoke(main, ["job", "--help"]).output


def test_kubernetes_schemas_take_it(manifest):
    for document in manifest[1:]:
        kubernetes_validate.validate(document, "1.37", strict=True)


@given(words=st.text(max_size=60), name=st.text(max_size=40))
def test_whatever_stands_in_it_stays_a_text(words, name):
    job = Job(run_id=f"{'x' * 80}/20260131T120000Z", image="i", pods=2, start=NOW, until=NOW,
              deadline_s=60, files={"plan.json": words}, variables=("K",), trust=name)  # fmt: skip
    try:
        plan, made = yaml.safe_load_all(text_of(job))
    except yaml.reader.ReaderError:
        pytest.fail("it can't be read")
    assert plan["data"]["plan.json"] == words
    (container,) = made["spec"]["template"]["spec"]["containers"]
    known = {item["name"]: item.get("value") for item in container["env"]}
    assert known.get("HOLYMON_TRUST", "") == name.replace("$", "$$")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["sim/fast", "--pods", "2", "--container-image", "i"], "sim/fast is simulated on this machine, where no pod is"),
     (usual(pods=65), "pods is 65: it must lie between 1 and 64."),
     (usual(start="5s"), "s: give pods from 30 s to a day to come up."),
     (usual(start="2026-01-31T12:00:00"), "--start has no time zone: end it with Z"),
     (usual(start="soon"), "--start 'soon' is no time: write in how long, such as 5m, or a moment, such as 2026-"),
     (usual(start="2026-01-31T12:00:00Z"), "--start has passed: give pods from 30 s to a day to come up."),
     (usual(start="1e300s"), "--start is more than a day ahead: give pods from 30 s to a day to come up."),
     (usual(start="0001-01-01T00:00:00+14:00"), "--start is in the year 1"),
     (usual(claim="A b"), "claim is 'A b', which Kubernetes does not take: write one like holymon-reports."),
     (usual(memory="lots"), "memory is 'lots'"),
     (usual(out="runs; rm -rf"), "out is 'runs; rm -rf'"),
     (usual(workers=2), "--workers is of one machine: say how many with --pods."),
     (usual(rate="5,10"), "a job is on one load"),
     (usual(prompt="x" * MOST_OF_A_CONFIGMAP), "and a ConfigMap holds 1,048,576: ask fewer")],
)  # fmt: skip
def test_what_no_cluster_could_run_is_one_sentence(words, sentence):
    done, _ = written(*words)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_start_in_thirty_seconds_is_one():
    done, _ = written(*usual(start="30s"))
    assert done.exit_code == 0, done.output


class Pods:
    """The command of a manifest as several processes, and what came of them."""

    def __init__(self, simulator, out, folder, number, **more):
        """Each has a folder of its own for what is temporary; all begin in `more["lead_s"]`."""
        self.simulator, self.out, self.folder = simulator, out, folder
        lead_s = more.pop("lead_s")
        words = usual(simulator.base_url, out=str(out), name="pods", pods=number, **more)
        done, documents = written(*words)
        assert done.exit_code == 0, done.output
        plan, job = documents
        (container,) = job["spec"]["template"]["spec"]["containers"]
        self.words, self.model = container["command"], more.get("model", "fast")
        (folder / "plan").mkdir(parents=True)
        for name, text in plan["data"].items():
            (folder / "plan" / name).write_text(text)
        self.words[0], self.words[4] = sys.executable, str(folder / "plan")
        start = datetime.now(UTC) + timedelta(seconds=lead_s)
        self.start = self.words[9] = start.isoformat()
        self.words[11] = (start + timedelta(seconds=300)).isoformat()
        self.run_id = self.words[5].removeprefix(f"{out}/")
        self.before = self.called()
        self.going = [self.begun(index) for index in range(number)]

    def called(self):
        return self.simulator.counted().get(self.model, {}).get("requests", 0)

    def begun(self, index):
        own = self.folder / f"pod-{index}"
        own.mkdir(exist_ok=True)
        return subprocess.Popen(
            self.words, env={**os.environ, "JOB_COMPLETION_INDEX": str(index), "TMPDIR": str(own)},
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def ready(self):
        """Whether all are before the start."""
        while datetime.now(UTC).isoformat() < self.start:
            words = [*self.folder.rglob("share.*.json")]
            if len(words) == len(self.going) and all("zero_at" in w.read_text() for w in words):
                return True
            time.sleep(0.1)
        return False

    def kill(self, index):
        os.killpg(self.going[index].pid, signal.SIGKILL)

    def ended(self):
        return [(each.communicate()[1], each.returncode) for each in self.going]

    def over(self):
        """Nobody may go on any more."""
        path = self.out / self.run_id / "job.json"
        about = json.loads(path.read_text()) | {"until_at": self.start}
        path.write_text(json.dumps(about))


def soon(condition):
    until = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def begun_in_time(*wishes):
    """Jobs whose pods were all there before their start: a busy machine needs longer."""
    for lead_s in (12, 40, 120):
        made = [wish(lead_s) for wish in wishes]
        if all(each.ready() for each in made):
            return made
        for each in made:
            for index in range(len(each.going)):
                each.kill(index)
            each.ended()
    raise AssertionError("no pod came in time")


class Stored:
    """Two pods that have no folder in common: what they write goes to a store, which fails now and
    then. The second is killed, with its disk, once something of it is there; the first one ends as
    another wants it."""

    def __init__(self, pods, server):
        self.pods, self.server, self.url = pods, server, pods.out
        self.store, self.key = opened(self.url), f"arriving/{pods.run_id}"

    def records(self, part):
        """How many whole records of a share are in the store."""
        names = [name for name in self.store.names(self.key) if name.startswith(f"pieces/{part}/")]
        frames, journal = Frames(), f"calls.{part}.journal"
        objects = self.store.many({f"{self.key}/{name}": 2**20 for name in names})
        grown = [arriving._PARCEL.decode(objects[key]).grown for key in sorted(objects)]
        rows = [
            frames.feed(zlib.decompress(some[journal][1]))[2] for some in grown if journal in some
        ]
        return sum(map(len, rows))

    def end(self):
        soon(lambda: self.records(1))
        self.pods.kill(1)
        self.pods.going[1].wait()
        self.reached = self.records(1)
        self.server.fault = lambda method, _: "SlowDown" * (method == "PUT")
        shutil.rmtree(self.pods.folder / "pod-1")
        self.meanwhile = hm.attach(self.pods.run_id, out=self.url)
        self.server.fault = lambda *_: ""
        self.store.put(f"{self.key}/stop/9", b"stopped")
        self.ends = self.pods.ended()


@pytest.fixture(scope="module")
def jobs(shared_simulator, tmp_path_factory, server):
    """Three pods with one folder, and two that have a store, side by side."""

    def folder():
        return tmp_path_factory.mktemp("pods")

    def with_folder(lead_s):
        here = folder()
        return Pods(shared_simulator, here / "runs", here, PODS, lead_s=lead_s)

    def with_store(lead_s):
        more = {"model": "cached", "rate": 20, "duration": 100, "lead_s": lead_s}
        return Pods(shared_simulator, "s3://team/pods", folder(), 2, **more)

    made, stored = begun_in_time(with_folder, with_store)
    return made, Stored(stored, server)


@pytest.fixture(scope="module")
def pods(jobs):
    """Three pods, the last of which is killed in the middle; and what was known meanwhile."""
    made, _ = jobs
    journal = made.out / made.run_id / "calls.2.journal"
    soon(lambda: journal.exists() and journal.stat().st_size > 2000)
    made.kill(2)
    made.ends = made.ended()
    made.meanwhile = hm.attach(made.run_id, out=made.out).state
    made.over()
    made.run = hm.attach(made.run_id, out=made.out)
    return made


@pytest.fixture(scope="module")
def stored(jobs):
    jobs[1].end()
    return jobs[1]


def test_pods_make_one_run_and_one_that_is_lost_is_in_the_verdict(pods):
    assert [code for _, code in pods.ends] == [0, 0, -signal.SIGKILL], pods.ends
    assert (pods.meanwhile, pods.run.state) == ("running", "finished")
    records = pods.run.records
    planned = int(RATE * SECONDS)
    assert sorted(records["request"].tolist()) == list(range(planned)), "each call once"
    of_last = records["request"] % PODS == 2
    errors = records.errors(of_last)
    lost = errors["client_dropped"]
    assert 0 < lost < planned / PODS
    shares = pods.run.to_dict()["shares"]
    assert [share["lost_s"] is None for share in shares] == [True, True, False]
    assert shares[2]["unsent"] == lost
    assert sum(share["records"] for share in shares) + errors.get("unfinished", 0) + lost == planned
    judged = pods.run.verdict()
    assert judged.measurement == "invalid"
    assert any(
        f"pod 2 was lost after {shares[2]['lost_s']:.3g} s" in r.text for r in judged.reasons
    )


def test_a_pod_that_is_killed_loses_nothing_that_reached_the_store(pods, stored):
    """Whoever looks makes one run of what is there, and others find it by its catalogue."""
    assert [code for _, code in stored.ends] == [0, -signal.SIGKILL], stored.ends
    assert stored.meanwhile.state == "running"
    assert len(stored.meanwhile.records) >= stored.reached > 0
    about = json.loads(stored.store.many({f"{stored.key}/job.json": 200})[f"{stored.key}/job.json"])
    ended_by_now = json.dumps(about | {"until_at": stored.pods.start}).encode()
    stored.store.put(f"{stored.key}/job.json", ended_by_now)
    done = CliRunner().invoke(main, ["runs", stored.url, "--sync"])
    assert done.exit_code == 0, done.output
    assert not stored.store.names(stored.key), "the pieces go when the run is in the catalogue"
    shutil.rmtree(folder_of(stored.url))
    (listed,) = hm.runs(stored.url)
    run = hm.attach(listed["run_id"], out=stored.url)
    assert (run.id, run.state) == (stored.pods.run_id, "stopped")
    whole, lost = run.to_dict()["shares"]
    number, errors = run.records["request"], run.records.errors(run.records.mask(0))
    assert len(set(number.tolist())) == len(number), "each call once"
    assert [*np.bincount(number % 2)] == [whole["records"], lost["records"] + lost["unknown"]]
    assert (whole["lost_s"], lost["records"]) == (None, stored.reached)
    assert (lost["unsent"], lost["unknown"]) == (0, errors["unfinished"]), "nobody knows of these"
    assert lost["unknown"] > 0
    assert stored.pods.called() - stored.pods.before >= whole["records"] + lost["records"]
    assert "pod 1 was lost after" in repr(run.verdict())
    assert len(run.first_calls) == 1


def test_pieces_come_each_second_at_first_and_never_further_apart_than_ten():
    assert [pause(gone) for gone in (-5, 10, 60, 3600)] == [1, 1, 2, 10]


def test_a_share_in_a_store_is_begun_once(stored, tmp_path):
    """Of two at once neither calls anybody."""
    sending = Sender(stored.store, tmp_path / "again" / "20260131T120000Z", 0)
    sending.begin()
    with pytest.raises(RunError, match="share 0 of again/20260131T120000Z was begun before"):
        sending.begin()


def test_no_call_is_made_twice(pods):
    """The first call once for all pods; a share that was begun calls nobody a second time."""
    count = pods.simulator.log()["models"]["fast"]
    records = pods.run.records
    dropped = records.errors(records.mask(0))["client_dropped"]
    assert count["requests"] - pods.before == len(records) - dropped
    assert len(pods.run.first_calls) == 1
    again = pods.begun(0)
    _, complaint = again.communicate()
    assert again.returncode == 4
    assert "share 0 of pods/" in complaint
    assert "was begun before: what it called is not called again." in complaint
    assert pods.simulator.log()["models"]["fast"] == count


def test_a_pod_that_comes_late_calls_nobody(pods, tmp_path):
    pods.words[5] = str(tmp_path / "late" / "20260131T120000Z")
    late = pods.begun(1)
    _, complaint = late.communicate()
    assert late.returncode == 4
    assert "pod 1 came after the start" in complaint
    assert hm.attach("late", out=tmp_path).live, "the others may come yet"
    bad = pods.begun(7)
    assert "JOB_COMPLETION_INDEX is '7': it says which of 3 it is." in bad.communicate()[1]


@pytest.mark.parametrize("damaged", ["[]", "3", '"x"', '{"state": "failed"}', "{"])
def test_what_a_share_says_of_itself_may_be_anything(pods, tmp_path, damaged):
    folder = tmp_path / "pods" / "20260131T120000Z"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_bytes((pods.run.folder / "plan.json").read_bytes())
    about = {"of": 1, "start_at": NOW.isoformat(), "until_at": NOW.isoformat()}
    (folder / "job.json").write_text(json.dumps(about))
    (folder / "share.0.json").write_text(damaged)
    assert hm.attach("pods", out=tmp_path).state == "interrupted"
