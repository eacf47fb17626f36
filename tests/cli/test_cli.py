"""The command: contracts on JSON and exit codes, and one clear sentence for what is wrong."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from holymon import __main__
from holymon.cli.main import main
from tests.lab import free_port

KEY = "sk-wrong-canary-0123456789"
QUICK = ("--max-tokens", "4")


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """Runs the command `holymon` as its fixture does, but in this process: for calls that end
    before anything is measured."""
    monkeypatch.chdir(tmp_path)
    without = {name: None for name in os.environ if name.endswith("_KEY")}

    def run(*arguments: str, env: dict[str, str] | None = None):
        return CliRunner().invoke(main, arguments, env={**without, **(env or {})})

    return run


def test_load_prints_the_contracts_json_and_agrees_with_the_servers_log(holymon, simulator):
    done = holymon(
        "load", "--base-url", simulator.base_url, "--model", "fast", "--shape", "poisson",
        "--rate", "40", "--duration", "2", "--json", *QUICK,
    )  # fmt: skip
    found = json.loads(done.stdout)
    (target,) = found["targets"]
    assert target["requests"] == target["ok"] == simulator.counted()["fast"]["requests"]
    assert found["simulated"] is True
    assert found["verdict"]["measurement"] in {"valid", "suspect", "invalid"}
    assert (
        done.returncode == {"valid": 0, "suspect": 0, "invalid": 3}[found["verdict"]["measurement"]]
    )
    assert target["cost_usd"] is None, "this address has no price"


def test_the_built_in_simulator_needs_nothing(holymon):
    done = holymon("load", "sim/fast", "--requests", "20", "--rate", "20", *QUICK)
    assert done.returncode in {0, 3}, done.stderr
    assert "SIMULATED" in done.stdout
    assert "sim/fast" in done.stdout


@pytest.mark.parametrize(
    ("slo", "code"),
    [("latency_p50<60", 0), ("latency_p50<1ms", 1), ("error_rate<1%", 0), ("ttft_p99<60", 1)],
)
def test_objectives_decide_the_exit_code(holymon, slo, code):
    done = holymon("load", "sim/fast", "--concurrency", "1", "--requests", "12", "--slo", slo,
                   "--json", *QUICK)  # fmt: skip
    found = json.loads(done.stdout)["verdict"]
    expected = 3 if found["measurement"] == "invalid" else code
    assert done.returncode == expected, found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["load"], "no target"),
        (["load", "nobody/x"], "nobody/x"),
        (["load", "sim/none"], "no model 'none'"),
        (["load", "sim/fast", "--rate", "-1"], "rate is -1"),
        (["load", "sim/fast", "--rate", "nan"], "rate is nan"),
        (["load", "sim/fast", "--rate", "inf"], "rate is too large: it must"),
        (["load", "sim/fast", "--rate", ""], "rate '' is not a number"),
        (["load", "sim/fast", "--concurrency", ""], "concurrency '' is not a number"),
        (["load", "sim/fast", "--shape", ""], "shape '' is none of"),
        (["sim", "--port", "99999"], "port 99999 is none"),
        (["load", "sim/fast", "--duration", "0"], "duration is 0"),
        (["load", "sim/fast", "--slo", "speed<3"], "speed"),
        (["load", "sim/fast", "--rate", "1", "--concurrency", "2"], "closed loop"),
        (["load", "sim/fast", "--prompts", "nowhere.jsonl"], "nowhere.jsonl"),
        (["load", "sim/fast", "--prompt", "a", "--prompt-tokens", "3"], "exclude each other"),
        (["load", "sim/fast", "sim/fast"], "twice"),
        (["load", "--model", "m"], "--base-url"),
        (["load", "--base-url", "http://127.0.0.1:1/v1"], "--model"),
        (["load", "--base-url", "127.0.0.1:1", "--model", "m"], "is not an address"),
        (["load", "--base-url", f"http://u:{KEY}@h/v1", "--model", "m"], "password"),
        (["load", "--base-url", f"http://h/v1?key={KEY}", "--model", "m"], "api_key_env"),
        (["load", "--base-url", "http://h/v1", "--model", "m", "--api-key-env", KEY], "not a key"),
        (["load", "openai/gpt-4.1", "--requests", "1"], "OPENAI_API_KEY"),
        (["load", "local/m", "--max-cost", "1", "--requests", "1"], "price is not known"),
        (["report", "nowhere.ipynb", "sim/fast"], "nowhere.ipynb"),
        (["report", "sim/fast", "-p", "nosuch", "1"], "nosuch"),
        (["report", "sim/fast", "-p", "api_key", KEY], "api-key-env"),
        (["report", "sim/fast", "-p", "rate", "3"], "use --rate"),
        (["report", "-p", "slo", "[]"], "use --slo"),
        (["report", "sim/fast", "-p", "baseline", "last"], "use --baseline"),
        (["report", "sim/fast", "--baseline", "0d"], "baseline 0d is no time back"),
        (["report", "capacity", "--fail-on-change"], "capacity compares no run with others"),
        (["report", "--run", "a", "sim/fast"], "sim/fast does not go with --run"),
        (["report", "--run", "a", "--slo", "error_rate<1%"], "--slo does not go with --run"),
        (["report", "--run", "a", "--rate", "5"], "--rate does not go with --run"),
        (["report", "capacity", "--rate", "5"], "--rate needs a TARGET"),
        (["report", "capacity", "sim/fast"], "03_capacity.ipynb has no parameter run"),
        (["metrics", "--textfile", "x.prom", "--dense"], "--dense does not go with --textfile"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_makes_nothing(inside, tmp_path, arguments, said):
    done = inside(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert KEY not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("host", "proxy", "said"),
    [("a..b", "", "the host in 'http://a..b/v1' can't be a name"),
     ("xn--", "", "can't be a name"), ("☃.test", "", "can't be a name"),
     ("far.example", "http://me:p4ssword@here:port", "the environment's proxy for http is no"),
     ("far.example", "http://me:p4ssword@127.0.0.1:99999", "is no address"),
     ("far.example", "http://me:p4ssword@a..b", "is no address"),
     ("far.example", "http://", "is no address"), ("far.example", "two words", "is no address"),
     ("far.example", "socks5://127.0.0.1:9", "only http proxies are known")],
)  # fmt: skip
def test_an_address_that_leads_nowhere_is_one_sentence_and_makes_nothing(
    inside, tmp_path, host, proxy, said
):
    given = ("--base-url", f"http://{host}/v1")
    done = inside("load", *given, "--model", "m", "--requests", "1", env={"HTTP_PROXY": proxy})
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert "p4ssword" not in done.stderr
    assert not list(tmp_path.iterdir())
    checked = inside("doctor", *given, env={"HTTP_PROXY": proxy})
    assert checked.exit_code == 2
    assert said in checked.stdout


def test_a_proxy_on_the_way_is_told_wherever_figures_are_and_its_password_nowhere(
    holymon, tmp_path, simulator, files_below
):
    """The simulator takes the proxy's part: over http that is asked by the whole address."""
    from holymon.load.run import attach
    from holymon.report import sections

    proxy = simulator.base_url.removeprefix("http://").removesuffix("/v1")
    done = holymon(
        "load", "--base-url", "http://far.example/v1", "--model", "fast", "--requests", "8",
        *QUICK, env={"HTTP_PROXY": f"http://me:p4ssw%40rd@{proxy}"},
    )  # fmt: skip
    line = f"url/fast: called through the proxy {proxy}"
    assert line in done.stdout, done.stderr
    run = attach(out=tmp_path / "reports")
    shown = run.to_dict()
    assert shown["proxies"] == {"url/fast": proxy}
    assert any(line in reason for reason in shown["verdict"]["reasons"])
    assert shown["targets"][0]["ok"] == simulator.counted()["fast"]["requests"] == 8
    assert line in sections.figures(run).html
    kept = [done.stdout, done.stderr, *(str(raw) for _, raw in files_below(tmp_path))]
    assert not [text for text in kept for form in ("p4ssw%40rd", "p4ssw@rd") if form in text]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_dead_proxy_is_one_sentence_that_names_it_and_exit_4(holymon, scheme):
    dead = f"http://me:p4ssword@127.0.0.1:{free_port()}"
    done = holymon("load", "--base-url", f"{scheme}://far.example/v1", "--model", "m",
                   "--requests", "4", env={f"{scheme.upper()}_PROXY": dead})  # fmt: skip
    assert (done.returncode, done.stderr) == (4, "")
    (sentence,) = [line for line in done.stdout.splitlines() if "proxy" in line]
    assert sentence.startswith("  invalid: url/m: the first call failed with proxy_error: ")
    assert "the proxy that HTTP_PROXY or HTTPS_PROXY names is down" in sentence
    assert dead.rpartition(":")[2] in sentence
    assert "p4ssword" not in done.stdout


def test_a_run_that_is_not_there_is_one_sentence(holymon):
    done = holymon("report", "--run", "nothing")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "holymon: there is no run 'nothing' in reports: `holymon runs` lists them.\n"
    )


@pytest.mark.parametrize("key", [KEY + "\n", " " + KEY, KEY + "…", "", "two words"])
def test_a_key_that_can_not_be_sent_is_said_without_it(inside, tmp_path, shared_simulator, key):
    done = inside("load", "--base-url", shared_simulator.base_url, "--model", "fast", "--requests", "3",
                   "--api-key-env", "MY_KEY", env={"MY_KEY": key})  # fmt: skip
    assert done.exit_code == 2
    assert "MY_KEY" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert KEY not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    assert shared_simulator.counted().get("fast", {"requests": 0})["requests"] == 0


@pytest.mark.parametrize("command", ["load", "report"])
def test_a_refused_key_is_exit_2_and_nowhere_on_disk_or_screen(
    holymon, tmp_path, simulator, files_below, command
):
    done = holymon(command, "--base-url", simulator.base_url, "--model", "fast", "--rate", "50",
                   "--requests", "40", "--api-key-env", "MY_KEY", env={"MY_KEY": KEY})  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "check the key in MY_KEY" in done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr
    files = files_below(tmp_path)
    assert files
    assert [path for path, data in files if KEY.encode() in data] == []


def test_an_unreachable_host_is_exit_4(holymon):
    done = holymon("load", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--rate", "50",
                   "--requests", "20")  # fmt: skip
    assert done.returncode == 4
    assert "connection_refused" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_model_that_does_not_exist_is_exit_2(holymon, simulator):
    done = holymon("load", "--base-url", simulator.base_url, "--model", "nosuch", "--rate", "50",
                   "--requests", "20")  # fmt: skip
    assert done.returncode == 2
    assert "not_found" in done.stdout
    assert "check the model's name" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_load_keeps_and_shows_what_it_has(tmp_path, simulator, number):
    process = subprocess.Popen(
        [sys.executable, "-m", "holymon", "load", "--base-url", simulator.base_url, "--model",
         "slow", "--rate", "40", "--duration", "600", "--json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while simulator.counted().get("slow", {"requests": 0})["requests"] < 40:
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    found = json.loads(out)
    (target,) = found["targets"]
    assert found["state"] == "stopped"
    assert set(target["errors"]) == {"cancelled"}
    assert target["requests"] == target["ok"] + target["errors"]["cancelled"]
    # One that was cancelled on its way may not have reached the server.
    assert 40 <= simulator.counted()["slow"]["requests"] <= target["requests"]


def test_runs_are_listed_as_json(holymon):
    assert json.loads(holymon("runs", "--json").stdout) == []
    holymon("load", "sim/fast", "--requests", "5", "--rate", "50", "--name", "first", *QUICK)
    (found,) = json.loads(holymon("runs", "--json").stdout)
    assert (found["name"], found["state"], found["requests"]) == ("first", "finished", 5)
    assert "first/" in holymon("runs").stdout
    shown = json.loads(holymon("calls", "first", "-n", "2", "--json").stdout)
    assert [len(shown["slowest"]), shown["failed"], shown["ok"]] == [2, [], 5]


def test_nothing_is_drawn_when_nobody_looks(holymon):
    done = holymon("load", "sim/fast", "--duration", "3", "--rate", "5", "--json", *QUICK)
    assert done.stderr == ""


def test_a_progress_bar_is_drawn_on_a_terminal(tmp_path):
    import pty
    import termios

    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-m", "holymon", "load", "sim/fast", "--duration", "3", *QUICK],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=slave, text=True,
    )  # fmt: skip
    os.close(slave)
    drawn = b""
    with contextlib.suppress(OSError):  # the terminal's end, when all is closed
        while piece := os.read(master, 4096):
            drawn += piece
    process.communicate(timeout=60)
    os.close(master)
    assert b"measuring" in drawn
    assert b"calls" in drawn


def test_the_spending_limit_ends_a_load(holymon, tmp_path):
    done = holymon("load", "sim/fast", "--rate", "50", "--duration", "60", "--max-cost", "0.0001",
                   "--json")  # fmt: skip
    found = json.loads(done.stdout)
    assert found["ended"] == "max_cost"
    assert 0.00003 < found["cost_usd"] <= 0.0001, "what was in flight is counted too"
    assert any("spending limit of 0.0001 USD" in said for said in found["verdict"]["reasons"])
    assert found["verdict"]["measurement"] != "valid"


@pytest.mark.parametrize(
    "command",
    [
        "load",
        "report",
        "runs",
        "sim",
        "doctor",
        "metrics",
        "init",
        "capacity",
        "compare",
        "calibrate",
        "calls",
        "",
    ],
)
def test_help_is_there(inside, command):
    done = inside(*filter(None, [command]), "--help")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage:")


def test_the_figures_of_the_last_run_are_written_for_node_exporter(holymon, tmp_path):
    assert holymon("metrics", "--textfile", "x.prom").returncode == 4, "there is no run yet"
    holymon("load", "sim/fast", "--requests", "10", "--rate", "50", *QUICK)
    done = holymon("metrics", "--textfile", "x.prom")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = (tmp_path / "x.prom").read_text()
    assert 'holymon_run_requests{model="fast",provider="sim"} 10.0' in text
    assert 'holymon_run_simulated{model="fast",provider="sim"} 1.0' in text
    assert holymon("metrics", "--textfile", "x.txt").returncode == 2


def test_a_damaged_file_of_calls_is_one_sentence_and_hides_no_other_run(holymon, tmp_path):
    for name in ("whole", "torn"):
        holymon("load", "sim/fast", "--requests", "5", "--rate", "50", "--name", name, *QUICK)
    (torn,) = (tmp_path / "reports" / "torn").glob("*/calls.parquet")
    torn.write_bytes(torn.read_bytes()[:100])
    listed = json.loads(holymon("runs", "--json").stdout)
    assert {run["name"]: run["state"] for run in listed} == {
        "whole": "finished", "torn": "unreadable"
    }  # fmt: skip
    assert "calls.parquet can't be read" in next(r["detail"] for r in listed if "detail" in r)
    for command in (("report", "--run", "torn"), ("metrics", "--run", "torn")):
        done = holymon(*command)
        assert (done.returncode, done.stdout) == (4, "")
        assert re.fullmatch("holymon: torn/.*: calls.parquet can't be read: .*\n", done.stderr)


@pytest.mark.parametrize("fault", ["1 / 0", "raise RuntimeError('k=sk-' + 'a' * 40)"])
def test_a_fault_of_our_own_is_exit_4_and_never_a_missed_objective(tmp_path, fault):
    code = (
        "from holymon.cli.main import main\nfrom holymon.catalogue import listing\n"
        f"def runs(out):\n    {fault}\nlisting.runs = runs\nmain(['runs'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (4, "")
    (line,) = done.stderr.splitlines()
    said = "holymon: this is a fault of holymon's own, please report it: the details are in (.+)[.]"
    details = Path(re.fullmatch(said, line)[1])
    assert details.stat().st_mode & 0o077 == 0
    text = details.read_text("utf-8")
    details.unlink()
    assert "Traceback" in text
    assert "a" * 40 not in text + done.stderr


@pytest.mark.parametrize("command", ["load", "report", "capacity"])
def test_help_lists_options_by_what_they_are_about(inside, command):
    sections = re.split("\n(?=[A-Z][a-z ]+:\n)", inside(command, "--help").stdout)
    titles = {text.partition(":")[0]: re.findall("^  (?:-., )?(--[a-z-]+)", text, re.MULTILINE)
              for text in sections[1:]}  # fmt: skip
    assert titles["Target"] == [
        "--base-url", "--model", "--api-key-env", "--endpoint", "--auth", "--header", "--query",
        "--trust", "--insecure-http",
    ]  # fmt: skip
    assert {"--prompt", "--max-tokens"} <= set(titles["What is asked"])
    assert {"--workers", "--max-cost"} <= set(titles["Sending"])
    assert list(titles)[-1] == "Options"
    assert {"--slo", "--out", "--help"} <= set(titles["Options"])
    flags = [flag for listed in titles.values() for flag in listed]
    assert len(flags) == len(set(flags))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_output_that_can_not_be_written_is_one_sentence(tmp_path):
    command = [sys.executable, "-m", "holymon", "doctor", "--json"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE,
                              text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (4, "holymon: No space left on device.\n")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run(command, cwd=tmp_path, stdout=gone, stderr=subprocess.PIPE,
                              text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (4, "")


def test_a_log_that_can_not_be_written_is_not_blamed_on_the_address(holymon):
    done = holymon("sim", "--port", "0", "--log", "no/such/folder")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "holymon sim: can't write to no/such/folder: No such file or directory.\n"
    )


def test_metrics_of_a_port_that_is_taken_is_one_sentence(holymon):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = holymon("metrics", "--port", str(taken.getsockname()[1]))
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch("holymon: can't listen at 127.0.0.1:.*another port.*\n", done.stderr)


@pytest.mark.parametrize("name", ["targets.toml", "plan.json", "report.html"])
def test_a_file_to_trust_that_is_not_there_is_no_run(inside, name):
    done = inside("trust", name)
    assert (done.exit_code, "there is no file" in done.stderr) == (2, True), done.stderr


def test_a_password_in_an_address_is_not_repeated(inside):
    done = inside("load", "https://me:hunter2-canary@example.invalid/v1")
    assert (done.exit_code, "canary" in done.stderr) == (2, False)
    assert "https://***@example.invalid/v1" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_it_before_it_has_begun_is_shown_no_traceback(monkeypatch, capsys, number):
    class Stopped(types.ModuleType):
        def __getattr__(self, name: str) -> None:
            signal.raise_signal(number)

    monkeypatch.setitem(sys.modules, "holymon.cli.main", Stopped("holymon.cli.main"))
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit, match="130"):
            __main__.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == "holymon: interrupted.\n"
