"""Numbers as people read them; tables as text and as HTML, in which nothing that they hold runs."""

import pytest

from holymon.formatting import Html, Table, Tables, element, join, ms, percent, rounded, stacked


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.00012, "0.012 %"), (0.994, "99 %"), (0.9995, "99.95 %"), (0.99997, "99.997 %"),
     (1 - 1e-7, "99.99999 %"), (1, "100 %"), (-0.094, "-9.4 %"), (-9.42, "-942 %")],
)  # fmt: skip
def test_only_all_is_said_to_be_100_percent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize("value", [999.6, 1234.5, 9999.4, 9999.6, 12345.0, 3e7])
def test_no_number_is_shown_as_a_power_of_ten(value):
    assert float(rounded(value).replace(",", "")) == pytest.approx(value, rel=5e-3)
    assert "e" not in rounded(value) + rounded(value, 3)


HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m'\""
FIGURES = Table(
    ("ms", "p50"), [("latency", ("12.3", "10.1–14.5")), ("TTFT", (ms(None), ""))],
    lead=("fine", "as ever"), notes=("few calls",),
)  # fmt: skip


def test_a_table_as_text_has_its_numbers_at_the_right_and_intervals_below_them():
    assert FIGURES.text().splitlines() == [
        "fine",
        "  as ever",
        "ms                     p50",
        "latency               12.3",
        "  95 % interval  10.1–14.5",
        "TTFT                     –",
        "few calls",
    ]


def test_a_name_from_right_to_left_moves_no_number_behind_it():
    shown = element("li", "url/نموذج-كبير: 10 of 10 calls failed")
    assert shown == "<li>url/<bdi>نموذج-كبير</bdi>: 10 of 10 calls failed</li>"


def test_a_table_as_html_says_the_same_and_holds_the_place_of_an_interval():
    assert FIGURES.html("figures") == (
        "<p><b>fine</b></p><ul><li>as ever</li></ul>"
        '<table class="figures"><thead><tr><th scope="col" style="text-align: left">ms</th><th class="num" scope="col">p50</th></tr></thead><tbody>'
        '<tr><td style="text-align: left">latency</td><td class="num">12.3<br><small>10.1–14.5</small></td></tr>'
        '<tr><td style="text-align: left">TTFT</td><td class="num">–<br><small>\u00a0</small></td></tr></tbody></table>'
        '<ul class="notes"><li>few calls</li></ul>'
    )


def test_the_last_letter_of_the_alignment_holds_for_all_columns_that_follow():
    table = Table(("a", "b", "c", "d"), [("1", "22", "333", "4444")], "rl")
    assert table.html().count('class="num"') == 2
    assert table.text().splitlines() == ["a  b   c    d", "1  22  333  4444"]


def test_a_table_without_rows_is_its_sentences():
    assert Table(lead=("no runs",)).text() == "no runs"
    assert Table(lead=("no runs",)).html() == "<p><b>no runs</b></p>"


def test_the_moment_in_the_id_of_a_run_is_one_word():
    html = Table(("run",), [("nightly/20261128T105458Z",), ("a/20261128T105458Z-1f-0a",)]).html()
    assert 'nightly/<span class="moment">20261128T105458Z</span>' in html
    assert 'a/<span class="moment">20261128T105458Z-1f-0a</span>' in html


def test_what_a_table_holds_is_text_wherever_it_stands():
    table = Table(
        (HOSTILE,), [(HOSTILE,), ((HOSTILE, HOSTILE),)], lead=(HOSTILE,), notes=(HOSTILE,)
    )
    for shown in (
        table.html(HOSTILE),
        Tables([table]).html(),
        table.text(),
        Tables([table]).text(),
    ):
        assert not set(shown) & set("\u202e\x1b")
    assert "<script" not in table.html(HOSTILE)
    assert table.html().count("&lt;script&gt;") == 6


def test_a_cell_of_several_lines_makes_no_row_of_its_own():
    assert len(Table(("name",), [("a\nrun  finished",)]).text().splitlines()) == 2


def test_only_html_goes_into_html_as_it_is():
    assert element("p", "a < b", Html("<b>c</b>"), kind='"x') == (
        '<p class="&quot;x">a &lt; b<b>c</b></p>'
    )
    assert join("<", element("i")) == "&lt;<i></i>"
    assert stacked("<a>", "b") == "&lt;a&gt;<br>b"
    # Joined as plain text it is escaped again, rather than trusted.
    assert element("p", element("b", "x") + HOSTILE).count("<") == 2
