"""Widgets of the dashboard's forms, all dressed alike."""

from importlib.resources import files
from typing import Any, Final

import ipywidgets as w

from holymon.errors import HolymonError
from holymon.formatting import Html, element
from holymon.safety import redact, short

WIDE: Final = {"width": "auto"}
LABEL: Final = {"description_width": "88px"}
SHORT: Final = {"description_width": "initial"}


def heading(text: str) -> w.HTML:
    """The title of a group of fields."""
    return html(element("div", text, kind="hm-head"))


def html(text: str = "", kind: str = "") -> w.HTML:
    """A piece of HTML whose texts are escaped already."""
    made = w.HTML(text, layout=WIDE)
    if kind:
        made.add_class(kind)
    return made


def picture() -> w.Image:
    """A PNG, of which nothing is seen before there is one: a browser shows a broken image."""
    made = w.Image(format="png", layout={**WIDE, "display": "none"})
    made.observe(lambda _: made.layout.set_trait("display", None), names="value")
    return made


def error_line(error: Exception) -> Html:
    """What went wrong, as HTML; the class is told of what holymon did not raise on purpose."""
    return element("div", short(error_text(error), 400), kind="hm-error", role="alert")


def error_text(error: Exception) -> str:
    """What went wrong in a line of text."""
    name = "" if isinstance(error, HolymonError) else f"{type(error).__name__}: "
    return redact(f"{name}{error}")


def text_field(label: str, value: str = "", **more: Any) -> w.Text:
    """A field for a line of text."""
    return w.Text(value, description=label, layout=WIDE, style=LABEL, **more)


def number_field(label: str, value: float, **more: Any) -> w.FloatText:
    """A field for a number of any kind."""
    return w.FloatText(value, description=label, layout=WIDE, style=LABEL, **more)


def integer_field(label: str, value: int, **more: Any) -> w.IntText:
    """A field for a whole number."""
    return w.IntText(value, description=label, layout=WIDE, style=LABEL, **more)


def lines_field(label: str, placeholder: str) -> w.Textarea:
    """A field for several lines."""
    return w.Textarea(description=label, placeholder=placeholder, style=LABEL,
                      layout={"width": "auto", "height": "58px"})  # fmt: skip


def choice_field(label: str, options: Any, **more: Any) -> w.Dropdown:
    """A list that one of several options is chosen from."""
    return w.Dropdown(options=options, description=label, layout=WIDE, style=LABEL, **more)


def style_sheet() -> w.HTML:
    """The look of the dashboard, in the colours of the notebook's theme."""
    css = files("holymon").joinpath("widgets/explore.css").read_text("utf-8")
    return w.HTML(element("style", Html(css)), layout={"display": "block", "height": "0"})
