"""Another user of this machine writes where consents are kept: they are believed only from oneself."""

import os
from pathlib import Path

import pytest

from holymon.errors import ConfigError
from holymon.plan import consent
from holymon.plan.plan import Target
from holymon.structs import mark_received

LINE = "MY_KEY=https://elsewhere.example/v1"
SENDING = consent.Sending("MY_KEY", "https://elsewhere.example/v1", source="targets.toml")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Where consents are kept, with one in it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("HOLYMON_TRUST", "")
    consent.remember([SENDING])
    os.environ["HOLYMON_TRUST"] = ""
    return tmp_path / "settings" / "holymon" / "trusted"


def received() -> Target:
    made = Target(provider="h", model="m", base_url=SENDING.address, api_key_env="MY_KEY")
    mark_received(made, "targets.toml")
    return made


def test_it_is_for_its_owner_only(place):
    assert (place.stat().st_mode & 0o777, place.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert LINE in consent.remembered()
    consent.require([received()])


def linked(place):
    other = place.with_name("other")
    place.rename(other)
    place.symlink_to(other)


def folder_linked(place):
    other = place.parent.with_name("other")
    place.parent.rename(other)
    place.parent.symlink_to(other)


def a_pipe(place):
    place.unlink()
    os.mkfifo(place)


def a_folder(place):
    place.unlink()
    place.mkdir()


WAYS = [
    lambda place: place.chmod(0o666), lambda place: place.chmod(0o620),
    lambda place: place.parent.chmod(0o777), lambda place: place.parent.chmod(0o730), linked,
    folder_linked, a_pipe, a_folder,
    pytest.param(lambda place: os.chown(place, 12345, -1), marks=root_only),
    pytest.param(lambda place: os.chown(place.parent, 12345, -1), marks=root_only),
]  # fmt: skip


@pytest.mark.parametrize("tampered", WAYS)
def test_what_others_could_have_written_is_neither_believed_nor_added_to(place, tampered):
    tampered(place)
    before = place.read_bytes() if place.is_file() else b""
    assert consent.remembered() == ()
    with pytest.raises(ConfigError, match="nobody has agreed"):
        consent.require([received()])
    with pytest.raises(ConfigError, match=r"can't be kept in .*HOLYMON_TRUST="):
        consent.remember([SENDING])
    assert (place.read_bytes() if place.is_file() else b"") == before
    consent.require([received()])  # for this process it holds


@pytest.mark.parametrize("home", ["settings", ".", "../settings"])
def test_settings_are_never_in_the_current_folder(place, tmp_path, monkeypatch, home):
    """The XDG Base Directory Specification: a path that is relative is no path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", home)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert consent.remembered() == ()
    monkeypatch.setenv("HOME", home)
    assert consent.remembered() == ()


def test_two_who_agree_at_once_both_are_remembered(place):
    consent.remember([SENDING._replace(variable="OTHER")])
    consent.remember([SENDING])
    assert sorted(line for line in consent.remembered() if line) == [
        LINE, "OTHER=https://elsewhere.example/v1",
    ]  # fmt: skip


def test_a_file_that_is_full_is_not_filled_further_and_read_no_further(place):
    place.write_bytes(b"#" * (4 << 20))
    assert sum(map(len, consent.remembered())) <= 2 << 20
    consent.inherited(
        [Target(provider="h", model="m", base_url="https://b.example", api_key_env="B")]
    )
    assert place.stat().st_size == 4 << 20


@pytest.mark.parametrize("mode", [0o777, 0o730])
def test_nothing_is_begun_in_a_folder_that_is_others_too(place, mode):
    place.unlink()
    place.parent.chmod(mode)
    with pytest.raises(ConfigError, match="can't be kept"):
        consent.remember([SENDING])
    assert not place.exists()
