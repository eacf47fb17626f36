"""By a colleague: a report's page that is opened, a picture in a notebook, and the runs of a folder."""

import base64
import json
import os
import shutil
import time
import zlib

import pytest

import holymon as hm
from holymon.catalogue import entries
from holymon.errors import RunError
from holymon.report.svg import inert

from .test_by_colleague_folder import received

EVIL = "<b>\x1b[2J\u202e##vso[task.setvariable]x"


def page(tmp_path, head: bytes):
    """The page of a report that carries this header, and no calls."""
    packed = base64.b64encode(zlib.compress(head + b"\n")).decode()
    path = tmp_path / "report.html"
    path.write_text(f'<template id="holymon-run">{packed}</template>')
    return path


def test_a_header_of_lists_is_not_taken_in(tmp_path, bounded):
    with pytest.raises(RunError, match="header is too long"):
        hm.open(page(tmp_path, b'{"format":1,"x":[' + b"[]," * 2_000_000 + b"1]}"))


@pytest.mark.parametrize("moment", ["NaN", "1e308", "-1e300", "1e18"])
def test_a_run_that_began_at_no_moment_is_refused(tmp_path, opened_page, moment):
    head = opened_page | {"began": float(moment)}
    with pytest.raises(RunError, match="began at no moment"):
        hm.open(page(tmp_path, json.dumps(head).encode()))


@pytest.fixture(scope="module")
def opened_page(tmp_path_factory):
    """The header of a page, of a run that was sent."""
    from holymon.load.carried import packed

    whole = zlib.decompress(base64.b64decode(packed(hm.attach(str(received(tmp_path_factory.mktemp("run")))))))  # fmt: skip
    return json.loads(whole.partition(b"\n")[0])


def test_a_value_of_a_picture_is_looked_at_once():
    """Words before parentheses could be cut in many ways: eight took 3 s, each more seven times."""
    style = "fill:" + "aaaaaaa(1)" * 5000 + ")"
    before = time.process_time()
    shown = inert(f'<svg xmlns="http://www.w3.org/2000/svg"><path style="{style}"/></svg>', "p")
    assert time.process_time() - before < 2
    assert "aaaa" not in shown


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "empty", "noise"])
def test_sql_over_a_file_that_is_none_is_one_sentence(tmp_path, kind):
    path = received(tmp_path, compacted=True) / "calls.parquet"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"PAR1 noise PAR1" * (kind == "noise"))
    with pytest.raises(RunError, match=r"calls|unpacks"):
        hm.sql("select count(*) from calls", out=tmp_path)


def test_what_others_wrote_of_a_run_is_shown_inert_and_its_moment_is_one(tmp_path):
    folder = received(tmp_path, compacted=True)
    about = {"run_id": "../x", "changed": 0, "state": "finished", "requests": 1, "detail": EVIL,
             "started_at": "9999-99-99", "ended": EVIL, "targets": [EVIL], "of_targets": [
                 {"target": EVIL, "requests": 0, "ok": -1, "figures": {}}]}  # fmt: skip
    (folder / "figures.json").write_text(json.dumps(about))
    (folder / "calls.parquet").unlink()  # beside calls it says nothing
    listed, calls = (hm.sql(f"from {table}", out=tmp_path) for table in ("runs", "calls"))
    assert (len(listed), len(calls)) == (1, 0), "it says that they are gone"
    assert listed["started_at"].isna().all()
    frame = hm.history(out=tmp_path).to_frame()
    assert frame["started_at"].isna().all()
    shown = f"{listed.to_dict()} {frame.to_dict()} {hm.runs(tmp_path)}"
    assert not {"\x1b", "\u202e", "##vso"} & {mark for mark in ("\x1b", "\u202e", "##vso") if mark in shown}  # fmt: skip
    known = entries.Entry("a/b", 0, "finished", started_at="2026-01-01T00:00:00+00:00")
    assert entries.shown(known) is known
    shutil.rmtree(folder)
