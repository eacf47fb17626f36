"""A colleague's folder, file or run names a key and an address: nothing is sent without a word."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import holymon as hm
from holymon.cli.main import main
from holymon.errors import ConfigError
from holymon.load.caller import Caller
from holymon.plan import consent
from holymon.plan.plan import Closed, Plan, Prompts, Target
from holymon.plan.targets import sibling, target
from holymon.report import sections
from holymon.structs import replace
from tests.promises.security.listening import listening

KEY = "canary-0123456789"
ELSEWHERE = "https://elsewhere.example/v1"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A folder to stand in, settings that nobody has written yet, and two keys."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("HOLYMON_TRUST", "")
    monkeypatch.delenv("HOLYMON_TARGETS", raising=False)
    for name in ("MY_KEY", "GITHUB_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)


@pytest.fixture
def ear():
    with listening() as pair:
        yield pair


def command(*arguments):
    return CliRunner().invoke(main, arguments)


def write(text: str, name: str = "targets.toml") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def theirs(base_url: str = ELSEWHERE, variable: str = "GITHUB_TOKEN", **more) -> str:
    lines = [f"{name} = {json.dumps(value)}" for name, value in more.items()]
    return "\n".join(["[h]", f'base_url = "{base_url}"', f'api_key_env = "{variable}"', *lines, ""])


def plan_of(*targets: Target, **more) -> Plan:
    fields = {"requests": 1, "first_call": False, "prompts": Prompts(stream=False), **more}
    return Plan(targets=targets, load=Closed(users=1), **fields)


def received(plan: Plan, name: str = "theirs/20260101T000000Z") -> Path:
    """The folder of a run that somebody sent."""
    folder = Path("received", name)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_bytes(plan.to_json())
    (folder / "state.json").write_text('{"state": "finished"}')
    return folder


def refused(plan: Plan) -> str:
    """The one sentence with which a plan is not measured."""
    with pytest.raises(ConfigError) as caught:
        hm.start(plan, out="out")
    assert not Path("out").exists(), "nothing was begun"
    return str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor", "h"], ["load", "h/m"], ["report", "h/m"], ["capacity", "h/m", "--slo", "ttft_p95<1"],
        ["load", "sim/fast", "h/m"], ["init", "team", "--target", "h/m"], ["doctor", "openai", "h"],
    ],
)  # fmt: skip
def test_a_file_in_the_folder_sends_no_key(ear, arguments):
    base_url, heard = ear
    write(theirs(base_url) + f'[openai]\nbase_url = "{base_url}"\n')
    done = command(*arguments)
    assert done.exit_code == 2, done.output
    said = " ".join(done.output.split())
    assert f"targets.toml would send the key in GITHUB_TOKEN to {base_url}" in said
    assert "`holymon trust targets.toml`" in said
    assert heard == []
    assert not Path("team").exists()


def test_the_doctor_asks_nobody_who_was_not_named(ear):
    base_url, heard = ear
    path = write(theirs(base_url) + f'[openai]\nbase_url = "{base_url}"\n')
    hm.trust(path)
    done = command("doctor")
    assert done.exit_code == 0, done.output
    assert "`holymon doctor openai`" in done.output
    assert heard.requests == 0


def test_a_packaged_key_does_not_come_along_to_another_address(ear, holymon, tmp_path):
    base_url, heard = ear
    (tmp_path / "targets.toml").write_text(f'[openai]\nbase_url = "{base_url}"\n')
    done = holymon("load", "openai/m", "--requests", "2", "--concurrency", "1", "--no-stream",
                   env={"OPENAI_API_KEY": KEY})  # fmt: skip
    assert "OPENAI_API_KEY stays at the packaged one" in " ".join(done.stderr.split())
    assert heard.requests >= 2
    assert heard == []


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("stall_s = 3", "OPENAI_API_KEY"),
        ('base_url = "https://api.openai.com/v1"', "OPENAI_API_KEY"),
        ('base_url = "https://API.OpenAI.com:443/v1"\napi_key_env = "OPENAI_API_KEY"', "OPENAI_API_KEY"),
        ('base_url = "https://api.openai.com/eu/v1"\napi_key_env = "OPENAI_API_KEY"', "OPENAI_API_KEY"),
        ("[openai.models.x]\ninput = 1.0", "OPENAI_API_KEY"),
    ],
)  # fmt: skip
def test_a_key_goes_to_its_own_provider_without_a_question(more, key):
    write(f"[openai]\n{more}\n")
    found = target("openai/x")
    assert found.api_key_env == key
    consent.require([found])


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.openai.com/v1", "https://api.openai.com:8443/v1", "https://api.openai.com./v1",
        "https://api.openai.com.evil.example/v1", "https://api.openaі.com/v1",
        "https://evil.example/https://api.openai.com/v1", "https://api。openai.com.evil.example",
        "https://xn--api-openai.com/v1", "https://evil.example\\api.openai.com/v1",
    ],
)  # fmt: skip
def test_what_looks_like_its_own_provider_is_another_place(base_url):
    write(
        f'[openai]\nbase_url = {json.dumps(base_url)}\napi_key_env = "OPENAI_API_KEY"\n'
        "insecure_http = true\n"
    )
    with pytest.raises(ConfigError) as caught:
        consent.require([target("openai/x")])
    assert str(caught.value).isascii(), "no letter looks like another one"
    assert "OPENAI_API_KEY" in str(caught.value) or "typing error" in str(caught.value)


@pytest.mark.parametrize("variable", ["PATH", "HOME", "AWS_SECRET_ACCESS_KEY", "MY_KEY"])
def test_any_variable_needs_a_word(monkeypatch, variable):
    monkeypatch.setenv(variable, "something")
    write(theirs(variable=variable))
    assert f"the key in {variable} to {ELSEWHERE}" in refused(plan_of(target("h/m")))


def test_a_word_holds_for_what_was_said_wherever_it_stands():
    consented = write(theirs())
    assert [s.line for s in hm.trust(consented)] == [f"GITHUB_TOKEN={ELSEWHERE}"]
    consent.require([target("h/m")])
    os.environ["HOLYMON_TRUST"] = ""  # as another process, later
    write(theirs() + "[h.models.m]\ninput = 1.0\n")
    consent.require([target("h/m")])
    Path("shared").mkdir()
    consented.rename("shared/ours.toml")
    os.environ["HOLYMON_TARGETS"] = "shared/ours.toml"
    try:
        consent.require([target("h/m")])
    finally:
        del os.environ["HOLYMON_TARGETS"]
    Path("targets.toml").symlink_to("shared/ours.toml")
    consent.require([target("h/m")])


@pytest.mark.parametrize(
    "changed",
    [
        theirs("https://elsewhere.example:444/v1"), theirs("https://elsewhere.example/v2"),
        theirs("https://else.where.example/v1"), theirs(variable="MY_KEY"),
        theirs("http://elsewhere.example/v1", insecure_http=True), theirs(ca_file="ca.pem"),
    ],
)  # fmt: skip
def test_what_changed_asks_again(changed):
    Path("ca.pem").write_text("some certificates")
    hm.trust(write(theirs()))
    write(changed)
    with pytest.raises(ConfigError, match="nobody has agreed"):
        consent.require([target("h/m")])


def test_authorities_are_agreed_to_with_the_key():
    Path("ca.pem").write_text("some certificates")
    write('[openai]\nca_file = "ca.pem"\n')
    with pytest.raises(ConfigError, match="as certified by"):
        consent.require([target("openai/x")])
    hm.trust("targets.toml")
    consent.require([target("openai/x")])
    Path("ca.pem").write_text("others")
    with pytest.raises(ConfigError, match="as certified by"):
        consent.require([target("openai/x")])


@pytest.mark.parametrize("ca_file", ["/dev/zero", "fifo", "large", "nowhere", "."])
def test_authorities_that_are_no_file_are_refused_at_once(ca_file):
    os.mkfifo("fifo")
    Path("large").write_bytes(b"x" * (1 << 20 | 1))
    write(theirs(ca_file=ca_file))
    with pytest.raises(ConfigError, match=r"ca_file .* can't be used"):
        hm.trust("targets.toml")


@pytest.mark.parametrize(
    "value",
    ["1", "true", "*", "all", "GITHUB_TOKEN", f"GITHUB_TOKEN={ELSEWHERE[:-3]}", f"=*{ELSEWHERE}",
     f"MY_KEY={ELSEWHERE}", "targets.toml", f"GITHUB_TOKEN={ELSEWHERE}#ca="],
)  # fmt: skip
def test_no_value_of_the_variable_stands_for_everything(monkeypatch, value):
    write(theirs())
    monkeypatch.setenv("HOLYMON_TRUST", value)
    assert "nobody has agreed" in refused(plan_of(target("h/m")))


def test_a_machine_is_told_in_its_environment_or_command(ear, holymon, tmp_path):
    base_url, heard = ear
    (tmp_path / "targets.toml").write_text(theirs(base_url))
    line, env = f"GITHUB_TOKEN={base_url}", {"GITHUB_TOKEN": KEY}
    few = ["load", "h/m", "--requests", "1", "--concurrency", "1", "--no-stream", "--no-first-call"]
    told = [
        holymon(*few, env={**env, "HOLYMON_TRUST": f"A=https://a.example {line}"}),
        holymon(*few, "--trust", line, env=env),
    ]
    for done in told:
        assert f"GITHUB_TOKEN goes to {base_url}." in done.stderr, "before the first call"
    assert heard == [f"Bearer {KEY}"] * 2
    untold = holymon(*few, env=env)
    assert untold.returncode == 2, "it held where it was said"
    assert f"HOLYMON_TRUST={line}" in untold.stderr, "it says what to set"
    assert holymon(*few, "--trust", "yes", env=env).returncode == 2
    assert len(heard) == 2


def test_the_owners_own_words_need_no_other(ear):
    """An option or a Target in Python; the run that came of it can be measured again."""
    base_url, heard = ear
    own = Target(provider="url", model="m", base_url=base_url, api_key_env="MY_KEY")
    run = hm.measure(plan_of(own), out="out")
    again = hm.measure(hm.attach(str(run.folder)).plan, out="out")
    assert (run.summary().targets[0].ok, again.summary().targets[0].ok) == (1, 1)
    assert heard == [f"Bearer {KEY}"] * 2
    assert f"at {base_url} with the key in MY_KEY" in sections.method(again).text
    assert os.environ["HOLYMON_TRUST"] == "", "in settings, not in what others inherit"


def plans_of_theirs():
    sent = Target(provider="h", model="m", base_url=ELSEWHERE, api_key_env="GITHUB_TOKEN")
    read = hm.attach(str(received(plan_of(sent)))).plan
    (them,) = read.targets
    return {
        "as it is": read,
        "in JSON": Plan.from_json(plan_of(sent).to_json()),
        "of a list": hm.attach("theirs", out="received").plan,
        "shorter": replace(read, requests=1, seed=7),
        "another model": plan_of(replace(them, model="n")),
        "a sibling": plan_of(sibling(them, "n")),
        "beside one's own": plan_of(Target(provider="sim", model="fast"), them),
        "at my address": plan_of(replace(them, base_url="https://mine.example/v1")),
        "with my key": plan_of(replace(them, api_key_env="MY_KEY")),
        "under a load of mine": read.sweep(Closed(users=1))[0],
    }


def test_the_plan_of_a_received_run_sends_no_key_in_any_copy():
    for way, plan in plans_of_theirs().items():
        assert "nobody has agreed" in refused(plan), way
        with pytest.raises(ConfigError, match="nobody has agreed"):
            Caller(plan)
    read = hm.attach("theirs", out="received")
    with pytest.raises(ConfigError, match="nobody has agreed"):
        hm.alternate(read.plan, read.plan, out="out")
    with hm.Monitor(read.plan.targets[0]) as monitor, pytest.raises(ConfigError, match="nobody"):
        monitor.chat("hello")
    assert "received/theirs/20260101T000000Z would send" in refused(read.plan)


@pytest.mark.parametrize("what", ["run", "id", "path", "plan.json", "plan", "target"])
def test_a_run_is_agreed_to_by_any_of_its_names(what):
    sent = Target(provider="h", model="m", base_url=ELSEWHERE, api_key_env="GITHUB_TOKEN")
    folder = received(plan_of(sent))
    run = hm.attach("last", out="received")
    names = {"run": run, "id": "theirs", "path": folder, "plan.json": folder / "plan.json",
             "plan": run.plan, "target": run.plan.targets[0]}  # fmt: skip
    agreed = hm.trust(names[what], out="received")
    assert ELSEWHERE in repr(agreed)
    assert ELSEWHERE in agreed._repr_html_()
    consent.require(run.plan.targets)
    edited = run.plan.to_json().replace(b"elsewhere", b"elsewhere2")
    (folder / "plan.json").write_bytes(edited)
    assert "elsewhere2.example" in refused(hm.attach("last", out="received").plan)


def test_the_built_in_simulator_is_given_no_key():
    """It would stand in its log; and whoever wrote the file was asked for none."""
    write('[sim]\napi_key_env = "GITHUB_TOKEN"\n')
    assert hm.measure(plan_of(target("sim/fast")), out="out").summary().targets[0].ok == 1


def test_a_reports_kernel_has_the_word_of_whoever_started_it_and_asks_nobody(ear):
    import nbformat

    base_url, heard = ear
    sent = Target(provider="h", model="m", base_url=base_url, api_key_env="GITHUB_TOKEN")
    folder = received(plan_of(sent)).resolve()
    again = f"import holymon as hm\nhm.measure(hm.attach({str(folder)!r}).plan, out='out');"
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(again)])
    nbformat.write(made, "again.ipynb")
    refusal = hm.write_report("again.ipynb", out="out")
    assert refusal.status == "failed"
    assert "nobody has agreed" in refusal.error
    assert heard.requests == 0
    hm.trust(folder)
    assert hm.write_report("again.ipynb", out="out").status == "ok"
    assert heard == [f"Bearer {KEY}"]


def test_a_worker_sends_only_what_it_was_started_for(ear, monkeypatch):
    """Started by hand in a received folder, or with another plan than the one it was started for."""
    base_url, heard = ear
    sent = Target(provider="h", model="m", base_url=base_url, api_key_env="GITHUB_TOKEN")
    folder = received(plan_of(sent))
    monkeypatch.setenv("HOLYMON_TRUST", f"GITHUB_TOKEN={ELSEWHERE} MY_KEY={base_url}")
    done = subprocess.run(
        [sys.executable, "-m", "holymon.load.worker", str(folder)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 4
    assert "nobody has agreed" in done.stderr
    assert heard.requests == 0


def test_a_file_that_is_swapped_behind_the_question_is_not_read_again(ear):
    base_url, heard = ear
    hm.trust(write(theirs(base_url)))
    plan = plan_of(target("h/m"))
    with listening() as (other, stolen):
        write(theirs(other))
        assert hm.measure(plan, out="out").summary().targets[0].ok == 1
    assert heard == [f"Bearer {KEY}"]
    assert stolen == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 2), ("n\n", 2)])
def test_who_sits_at_a_terminal_is_asked_once(ear, holymon, tmp_path, answer, code):
    base_url, _ = ear
    (tmp_path / "targets.toml").write_text(theirs(base_url))
    ours, theirs_end = pty.openpty()
    os.write(ours, answer.encode())
    done = subprocess.run(
        [sys.executable, "-m", "holymon", "doctor", "h"], cwd=tmp_path, stdin=theirs_end,
        stdout=subprocess.PIPE, stderr=theirs_end, timeout=60, check=False,
    )  # fmt: skip
    os.close(theirs_end)
    screen = b""
    with contextlib.suppress(OSError):  # so it says that nobody has the other end any more
        while piece := os.read(ours, 1 << 16):
            screen += piece
    os.close(ours)
    assert done.returncode == code, done.stdout
    assert f"the key in GITHUB_TOKEN to {base_url}" in screen.decode()
    later = holymon("doctor", "h", env={"GITHUB_TOKEN": KEY}, stdin=subprocess.DEVNULL)
    assert later.returncode == code


@pytest.mark.parametrize("base_url", ["http://10.0.0.5:8000/v1", "http://host.example/v1",
                                      "http://127.0.0.1.nip.io/v1", "http://[2001:db8::1]/v1"])  # fmt: skip
def test_a_key_is_not_sent_in_the_clear_to_another_machine(base_url):
    own = Target(provider="url", model="m", base_url=base_url, api_key_env="MY_KEY")
    for refusal in (
        refused(plan_of(own)),
        command("load", "--base-url", base_url, "--model", "m", "--api-key-env", "MY_KEY").output,
        command("doctor", "--base-url", base_url, "--api-key-env", "MY_KEY").output,
    ):
        assert "MY_KEY would go to http://" in refusal
        assert "--insecure-http" in refusal
    consent.require([replace(own, insecure_http=True)])
    consent.require([replace(own, api_key_env="")])


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8000/v1", "http://localhost:1/v1",
                                      "http://[::1]:8000/v1", "https://10.0.0.5/v1"])  # fmt: skip
def test_this_machine_and_tls_are_no_plain_http_to_another(base_url):
    consent.require([Target(provider="url", model="m", base_url=base_url, api_key_env="MY_KEY")])


def test_a_file_may_accept_plain_http_but_not_for_its_reader():
    write(theirs("http://10.0.0.5/v1", insecure_http=True))
    with pytest.raises(ConfigError, match="nobody has agreed"):
        consent.require([target("h/m")])
    hm.trust("targets.toml")
    consent.require([target("h/m")])


def test_init_writes_no_word_of_its_own_and_its_folder_needs_none(ear, monkeypatch):
    base_url, heard = ear
    path = write(theirs(base_url))
    assert command("init", "team", "--target", "h/m").exit_code == 2
    hm.trust(path)
    monkeypatch.setenv("HOLYMON_TRUST", "")
    assert command("init", "team", "--target", "h/m").exit_code == 0
    monkeypatch.chdir("team/notebooks")
    hm.measure(plan_of(target("h/m")), out="out")
    assert heard == [f"Bearer {KEY}"]
