"""By a colleague: a run whose calls are damaged or hostile hides those of no other from SQL."""

import duckdb
import pytest

import holymon as hm
from holymon.errors import PlanError, RunError

from .test_by_colleague_folder import received

TIMES = "select count(*) n, max(sent_at), max(latency_s), max(finish) from calls"


@pytest.fixture
def out(tmp_path):
    """Three sound runs, and that of the colleague between them."""
    for name in ("a", "sent", "x", "y"):
        received(tmp_path, name, compacted=True)
    return tmp_path


@pytest.fixture
def sent(out):
    """The file of the colleague's calls."""
    (path,) = out.glob("sent/*/calls.parquet")
    return path


def written(path, columns):
    """Write a file again with other columns."""
    made = path.with_suffix(".new")
    duckdb.execute(
        f"COPY (SELECT {columns} FROM read_parquet('{path}')) TO '{made}' (FORMAT parquet, COMPRESSION zstd)"
    )
    made.replace(path)


def damaged(path):
    """Have its pages be noise, and its footer as it was."""
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 4] = b"\x5a" * (len(content) // 4 - 4)
    path.write_bytes(content)


def said(caplog):
    return [record.message for record in caplog.records]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ("* REPLACE (start_s::VARCHAR AS start_s)", "start_s is VARCHAR, not DOUBLE: copy it again"),
        ("* REPLACE ('a' AS target)", "target is VARCHAR, not UTINYINT: copy it again"),
        ("* REPLACE ({'a': start_s} AS start_s)", "start_s is STRUCT(a DOUBLE), not DOUBLE"),
        ("* REPLACE (1.5::DOUBLE AS flags)", "flags is DOUBLE, not UINTEGER"),
        ("*, 'x' AS run_place", "run_place is VARCHAR, not UINTEGER"),
        ("*, 0 AS file_index", "it has a column file_index, as none of a run has: copy it again"),
    ],
)  # fmt: skip
def test_columns_of_another_type_leave_out_one_run_and_it_is_said(out, sent, caplog, columns, why):
    """It was one sentence for the whole folder, with all that `+` can add."""
    written(sent, columns)
    answer = hm.sql(TIMES, out=out)
    assert answer["n"].tolist() == [9]
    (line,) = said(caplog)
    assert line.startswith(f"sent/{sent.parent.name}: calls.parquet can't be read: ")
    assert why in line
    assert line.endswith(" Its calls are left out.")


@pytest.mark.parametrize("kind", ["noise", "empty", "link", "pages"])
def test_so_do_files_that_are_none_and_pages_that_are_noise(out, sent, caplog, kind):
    if kind == "pages":
        damaged(sent)
    else:
        sent.write_bytes(b"PAR1 noise PAR1" * (kind == "noise"))
        if kind == "link":
            sent.rename(out / "elsewhere")
            sent.symlink_to(out / "elsewhere")
    assert hm.sql(TIMES, out=out)["n"].tolist() == [9]
    (line,) = said(caplog)
    assert "sent/" in line
    assert line.endswith(" Its calls are left out.")
    assert str(out) not in line


@pytest.mark.parametrize("columns", ["* EXCLUDE target", "* EXCLUDE error", "request"])
def test_fewer_columns_hide_no_call(out, sent, columns):
    """A run of an earlier version lacks some; its calls were in no answer, and nobody said so."""
    written(sent, columns)
    answer = hm.sql("select count(*) n, count(distinct run_id) runs from calls", out=out)
    assert answer.loc[0].tolist() == [12, 4]
    good = hm.sql("select count(*) n from calls where error_type = ''", out=out)["n"].tolist()
    assert good == [12 if columns == "* EXCLUDE target" else 9], "what is not told is no success"


@pytest.mark.parametrize(
    "columns",
    ["1e300 AS start_s", "'inf'::DOUBLE AS start_s", "'nan'::DOUBLE AS start_s",
     "-1e13 AS start_s", "255::UTINYINT AS finish", "255::UTINYINT AS error"],
)  # fmt: skip
def test_odd_values_stop_no_query_and_hide_no_call(out, sent, columns):
    """Errors of a later version, too: calls that failed were in no answer."""
    written(sent, f"* REPLACE ({columns})")
    assert hm.sql(TIMES, out=out)["n"].tolist() == [12]
    errors = hm.sql("select error_type, count(*) n from calls group by all order by all", out=out)
    unknown = [["_OTHER", 3]] * ("error" in columns)
    assert errors.to_numpy().tolist() == [["", 12 - 3 * len(unknown)], *unknown]


def test_of_many_only_some_are_named(out, caplog):
    for number in range(12):
        folder = received(out, f"more{number}", compacted=True)
        (folder / "calls.parquet").write_bytes(b"")
    assert hm.sql(TIMES, out=out)["n"].tolist() == [12]
    assert len(said(caplog)) == 11
    assert said(caplog)[-1] == "The calls of 2 more are left out as well."


def test_where_all_are_damaged_it_is_an_error_and_so_are_mistakes_of_the_query(out, sent, caplog):
    for words, error in (("select 1 + finish::INT from calls", RunError),
                         ("select regexp_matches(run_id, '(') from calls", RunError),
                         ("select no_such from calls", PlanError)):  # fmt: skip
        with pytest.raises(error, match="query"):
            hm.sql(words, out=out)
    assert not said(caplog)
    written(sent, "* REPLACE ('a' AS target)")
    with pytest.raises(RunError, match="target is VARCHAR"):
        hm.sql(TIMES, out=out, name="sent")


def test_a_run_that_the_catalogue_can_not_read_is_left_out_and_it_is_said(out, sent, caplog):
    """A bomb of 30 kB was read for nothing, and a run without a plan was not in the answer."""
    values = "* REPLACE (repeat('a', 100000000) AS code)"
    written(sent, values)
    (plan,) = out.glob("x/*/plan.json")
    plan.write_text("{")
    assert hm.sql(TIMES, out=out)["n"].tolist() == [6]
    first, second = sorted(said(caplog))
    assert "calls.parquet can't be read: it unpacks to" in first
    assert f"x/{plan.parent.name}" in second
    assert all(line.endswith(" Its calls are left out.") for line in (first, second))
