"""By another user of the machine: a folder of reports in a place where all may write."""

import os
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from holymon.catalogue import listing
from holymon.errors import RunError
from holymon.load.run import attach, start
from holymon.monitor import route as moves
from holymon.monitor import route_file
from holymon.monitor.course import MoveSteps
from holymon.monitor.probe import probe_cache
from holymon.plan.plan import Open, Plan, Prompts, Target
from holymon.plan.price import Price
from holymon.plan.shapes import constant
from holymon.prometheus import shared_port, sharing
from holymon.records import run_folder
from holymon.records.own_files import lock_file, locked, try_lock, write_aside
from holymon.report import notify
from holymon.report.report import _lead_to, _publish, _write_json
from holymon.widgets.results_tab import BASELINE_FILE, set_baseline

MINE = "what only I may read and write"
PROMPT = "a customer's own words"
NOBODY = "65534"


@pytest.fixture(params=[0o777, 0o1777], ids=["open", "sticky"])
def shared(request):
    """A folder that all may write to, and one's own beside it."""
    if os.name == "nt" or os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "only root has other users"
        )
    with tempfile.TemporaryDirectory() as top:
        place, home = Path(top) / "reports", Path(top) / "home"
        Path(top).chmod(0o755)
        place.mkdir()
        place.chmod(request.param)
        home.mkdir(mode=0o700)
        (home / "mine.txt").write_text(MINE)
        (home / "mine.txt").chmod(0o600)
        before = os.umask(0o022)
        yield place
        os.umask(before)
        assert (home / "mine.txt").read_text() == MINE
        assert [path.name for path in home.iterdir()] == ["mine.txt"]


@pytest.fixture
def other(debian):
    """Runs a shell's command as another user: its exit code and what it printed."""
    setpriv = debian("setpriv", "util-linux")

    def run(script: str, *arguments: object) -> tuple[int, str]:
        done = subprocess.run(
            [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "sh", "-c", script,
             "sh", *map(str, arguments)], capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
        return done.returncode, done.stdout

    return run


PLAN = Plan(
    targets=(Target(provider="url", model="m", base_url="http://127.0.0.1:1/v1"),),
    load=Open(constant(1)), requests=1, first_call=False, prompts=Prompts(texts=(PROMPT,)), name="mine",
)  # fmt: skip


def reported(run) -> tuple[str, ...]:
    """What a report writes, without its kernel; the sentences on pages that were kept."""
    import nbformat

    head = "default-src 'none'; img-src data: <title>holymon: x"
    _publish(run.folder, head, nbformat.v4.new_notebook(), (), "")
    _write_json(run.folder, run, {"status": "ok"}, run.to_dict())
    return _lead_to(run.folder)


def test_links_that_wait_for_what_is_written_lead_nowhere(shared, other):
    target = shared.parent / "home" / "mine.txt"
    asides = f".index.html.{os.getpid()} .{BASELINE_FILE}.{os.getpid()}"
    names = f"latest.html {BASELINE_FILE} {asides} .index.html run.lock"
    code, _ = other('cd "$1"; for name in $3; do ln -s "$2" "$name"; done; mkdir mine; chmod 777 mine; '
                    'ln -s "$2" mine/latest.html; ln -s "$2" "mine/.latest.html.$4"',
                    shared, target, names, os.getpid())  # fmt: skip
    assert code == 0
    run = start(PLAN, out=shared, detached=False).wait()
    (note,) = reported(run)
    assert note.startswith(f"{shared}/mine/latest.html was not written by holymon")
    assert "holymon: reports" in (shared / "index.html").read_text()
    if stat.S_IMODE(shared.stat().st_mode) == 0o777:
        set_baseline(run)
        assert not (shared / BASELINE_FILE).is_symlink()


def test_a_folder_of_that_name_that_leads_elsewhere_is_refused(shared, other):
    home = shared.parent / "home"
    assert other('ln -s "$2" "$1/mine"', shared, home)[0] == 0
    with pytest.raises(RunError, match="is a link that leads out of"):
        start(PLAN, out=shared)
    assert listing.runs(shared) == []


def test_a_link_of_another_user_on_the_way_to_the_folder_is_refused(shared, other):
    home = shared.parent / "home"
    assert other('ln -s "$2" "$1/out"', shared, home)[0] == 0
    for out in (shared / "out", shared / "out" / "deeper"):
        with pytest.raises(RunError, match="another user's link"):
            start(PLAN, out=out)
    (shared / "elsewhere").mkdir()
    (shared / "mine").symlink_to(shared / "elsewhere")
    assert start(PLAN, out=shared / "mine", detached=False).wait().folder.is_dir(), "one's own link"


def test_a_folder_of_that_name_that_all_may_write_to_is_said(shared, other, caplog):
    run_folder._tell_of.cache_clear()
    assert other('mkdir -m 777 "$1/mine"', shared)[0] == 0
    run_folder.new_folder(shared, "mine")
    assert [f"in {shared / 'mine'} every user" in r.getMessage() for r in caplog.records] == [True]


def test_prompts_and_what_servers_said_are_read_by_nobody_else(shared, other):
    run = start(PLAN, out=shared, detached=False).wait()
    reported(run)
    for name in (
        "plan.json",
        "run.json",
        "state.json",
        "worker.log",
        "notes.0.jsonl",
        "vitals.0.jsonl",
    ):
        assert other('cat "$1"', run.folder / name) == (1, ""), name
    code, found = other('grep -rl "$2" "$1" 2>/dev/null', shared, PROMPT)
    assert (code != 0, found) == (True, "")
    assert other('cat "$1"', run.folder / "report.html")[0] == 0, "a page is for its readers"


def test_nobody_else_plants_anything_in_a_run(shared, other):
    run = start(PLAN, out=shared, detached=False).wait()
    before = sorted(run.folder.iterdir())
    for script in ('touch "$1/stop"', 'ln -s /etc/passwd "$1/calls.csv"', 'rm "$1/plan.json"',
                   'mkdir "$1/x"'):  # fmt: skip
        assert other(f"{script} 2>/dev/null", run.folder)[0] != 0, script
    assert sorted(run.folder.iterdir()) == before


def test_where_others_can_replace_a_run_it_is_said_once_before_it(shared, other, caplog):
    run_folder._tell_of.cache_clear()
    for _ in range(2):
        folder = run_folder.new_folder(shared, "mine")
    said = [record.getMessage() for record in caplog.records]
    code, _ = other('mv "$1/mine" "$1/theirs"; mkdir -p "$1/mine"; rm -r "$1/theirs" 2>/dev/null; ls -d "$2"',
                    shared, folder)  # fmt: skip
    if stat.S_IMODE(shared.stat().st_mode) == 0o777:
        assert (code != 0, len(said)) == (True, 1)
        assert said[0].startswith(f"in {shared} every user of this machine may replace")
    else:
        assert (code, said) == (0, [])


FOREIGN = [
    'mkfifo "$1/state.json"', 'mkfifo "$1/plan.json"', 'mkfifo "$1/calls.0.journal"',
    'mkfifo "$1/run.lock"', 'ln -s /dev/zero "$1/state.json"', 'ln -s "$2" "$1/plan.json"',
    'ln -s "$2" "$1/notes.0.jsonl"', 'mkdir "$1/state.json"', 'ln -s "$1" "$1/calls.parquet"',
]  # fmt: skip


@pytest.mark.parametrize("script", FOREIGN)
def test_a_run_of_another_user_neither_hangs_nor_shows_what_is_ours(shared, other, script):
    ours = start(PLAN, out=shared, detached=False).wait()
    folder = shared / "theirs" / "20260101T000000Z"
    assert other('mkdir -p "$1"; chmod 777 "$1"', folder)[0] == 0
    target = shared.parent / "home" / "mine.txt"
    plan = folder.with_name("plan.json")
    write_aside(plan, PLAN.to_json())
    copied = "" if "plan.json" in script else 'cp "$3" "$1/plan.json"; '
    done = other(copied + script, folder, target, plan)
    assert done[0] == 0, done
    shown: list[str] = []

    def look():
        shown.append(repr(listing.runs(shared)))
        for read in (attach, lambda path: run_folder.load(Path(path))):
            try:
                run = read(str(folder))
                shown.append(repr(run))
            except RunError as error:
                shown.append(str(error))
            except Exception as error:  # noqa: BLE001 - to be shown
                shown.append(f"Traceback {error!r}")

    reader = threading.Thread(target=look, daemon=True)
    reader.start()
    reader.join(60)
    assert not reader.is_alive()
    assert MINE not in str(shown)
    assert "Traceback" not in str(shown)
    assert ours.id in shown[0]


def test_a_lock_is_for_those_who_may_have_it(shared, other, monkeypatch):
    """Whoever may read a file can lock it, and would keep all others waiting (flock(2))."""
    monkeypatch.setattr(shared_port, "GATE_S", 0.05)
    made, *locks = shared / "r.json", shared / ".r.json.lock", shared / ".notified.lock"
    route_file.change(made, lambda *_: moves.new("a/x", "b/y", MoveSteps(), 0.0, "me"))
    with locked(shared / notify.FILE, locks[1], 1, 0.01):
        pass
    shared_port.at_port(shared, ("127.0.0.1", 0), lambda: None)[1].close()
    gate = shared / "holymon-0.gate"
    for lock in (*locks, gate, shared / "holymon-0.port"):
        assert other('flock -n "$1" true 2>/dev/null', lock)[0] != 0, lock
        assert other('flock -s -n "$1" true 2>/dev/null', lock)[0] != 0, lock
    with lock_file(gate) as held:
        assert try_lock(held)
        with pytest.raises(OSError, match="another process holds"):
            shared_port.at_port(shared, ("127.0.0.1", 0), lambda: None)
    assert other('cat "$1"', made)[0] == 0, "how a move stands is for its readers"


def test_what_waits_where_figures_or_probes_are_kept_is_not_gone_into(shared, other):
    for script in ('mkfifo "$1/counter_holymon-0.db"', 'ln -s "$2" "$1/counter_holymon-1.db"',
                   'ln -s "$2" "$1/probe-cache"', 'ln -s "$2" "$1/r.json"'):  # fmt: skip
        assert other(script, shared, shared.parent / "home")[0] == 0
    for name in ("counter_holymon-0.db", "counter_holymon-1.db"):
        with pytest.raises(RunError, match="can't be read"):
            sharing._read(shared / name)
    with pytest.raises(RunError, match=r"r\.json is a link"):
        route_file.read(shared / "r.json")
    priced = Target(provider="url", model="m", base_url="http://127.0.0.1:1/v1", price=Price(1, 1))
    with pytest.raises(RunError, match="is a link that leads out of"):
        probe_cache(priced, max_cost=1, pauses_s=(0,), prompt_tokens=32, out=shared)
