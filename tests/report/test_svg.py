"""What a page takes of an SVG: the picture and its titles, and nothing that acts or loads."""

import pytest

from holymon.report.svg import inert

START = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


@pytest.mark.parametrize(
    "part",
    [
        "<script>alert(1)</script>", "<foreignObject><b>x</b></foreignObject>",
        '<a href="javascript:alert(1)"><text>x</text></a>', "<style>*{fill:red}</style>",
        '<image href="https://example.com/x.png"/>', '<image href="data:image/svg+xml;base64,AA"/>',
        '<use xlink:href="https://example.com/#a"/>', '<g id="a"/><use href="#a"/>',
        '<rect onload="alert(1)" style="fill:url(https://example.com/x);position:fixed"/>',
        '<animate attributeName="href"/>', '<rect fill="url(//example.com#a)"/>',
    ],
)  # fmt: skip
def test_what_acts_or_loads_is_left_out(part):
    page = inert(f"{START}{part}</svg>", "p1-")
    assert page.startswith("<svg")
    for word in ("script", "foreign", "<a", "<style", "example", "data:", "<use", "on", "animate"):
        assert word not in page.replace("class", "").replace("round", "").replace("position", "on")


def test_titles_stay_as_text_and_a_bomb_is_no_picture():
    spot = '<circle class="spot" r="4"><title>&lt;b&gt; said\nso</title></circle>'
    assert "<title>&lt;b&gt; said\nso</title>" in inert(f"{START}{spot}</svg>", "p1-")
    assert inert(f'<!DOCTYPE x [<!ENTITY a "b">]>{START}</svg>', "p1-") == ""
    assert inert("<svg", "p1-") == ""
