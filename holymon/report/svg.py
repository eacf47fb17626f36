"""An SVG that a notebook made, as far as it may stand in a page: nothing runs, loads or covers.

    parsed --> what is known to be inert is written anew --> ids of this page only, no style sheet

What the page's own policy would stop anyhow is left out here, and what is left out is no loss to
a picture of matplotlib's.
"""

import re
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

from holymon.formatting import Html, element, join

MOST_CHARACTERS: Final = 5_000_000
WIDTH: Final = "860"
NAMESPACE: Final = "{http://www.w3.org/2000/svg}"
_HREF: Final = "{http://www.w3.org/1999/xlink}href"

SHAPES: Final = frozenset("path rect circle ellipse line polyline polygon image".split())
ELEMENTS: Final = SHAPES | frozenset(
    "defs g use text tspan title desc clipPath pattern linearGradient radialGradient stop".split()
)
LOOKS: Final = frozenset(
    "clip-path clip-rule dominant-baseline fill fill-opacity fill-rule font font-family font-size "
    "font-stretch font-style font-variant font-weight image-rendering opacity stop-color "
    "stop-opacity stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin "
    "stroke-miterlimit stroke-opacity stroke-width text-anchor".split()
)
ATTRIBUTES: Final = LOOKS | frozenset(
    "clipPathUnits cx cy d gradientTransform gradientUnits height offset patternContentUnits "
    "patternTransform patternUnits points preserveAspectRatio r rx ry transform viewBox width x x1 "
    "x2 y y1 y2".split()
)
_FUNCTION: Final = re.compile(r"\b(?:url\(#[\w-]+\)|\w+\([-\d.,\s%e]*\))")
"""References inside of the picture, numbers and colours: a value is inert but for others."""

_ACTIVE: Final = re.compile(r"[()\\@]")

_REFERENCE: Final = re.compile(r"url\(#([\w-]+)\)")
_IMAGE: Final = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=\s]+")
_ENTITY: Final = re.compile("<!ENTITY", re.IGNORECASE)
_VIEW: Final = re.compile(r"[-\d.e]+(?:[\s,]+[-\d.e]+){3}")


def inert(svg: str, prefix: str, alt: str = "") -> Html:
    """The picture, its ids beginning with `prefix`; empty if it is none, or not to be trusted.

    `alt` says in words what it shows.
    """
    if len(svg) > MOST_CHARACTERS or _ENTITY.search(svg):
        return Html()
    try:
        root = ET.fromstring(svg)  # noqa: S314 - entities were refused
        if root.tag != f"{NAMESPACE}svg":
            return Html()
        return _Picture(root, prefix).html(alt)
    except (ET.ParseError, ValueError, RecursionError):
        return Html()


class _Picture:
    """One picture, and which of its parts have which name in the page."""

    def __init__(self, root: ET.Element, prefix: str) -> None:
        self._root = root
        self._prefix = prefix
        self._kinds = {
            node.get("id", ""): _name(node) for node in root.iter() if node.get("id")
        }  # fmt: skip
        self._ids = {name: f"{prefix}{k}" for k, name in enumerate(sorted(self._wanted()))}

    def html(self, alt: str) -> Html:
        """All of it."""
        view = self._root.get("viewBox", "")
        about = {"role": "img", "aria-label": alt} if alt else {}
        return element(
            "svg", *self._inside(self._root), kind="picture", width=WIDTH,
            viewBox=view if _VIEW.fullmatch(view) else "", **about,
            **{"stroke-linejoin": "round", "stroke-linecap": "butt"},  # matplotlib's style sheet
        )  # fmt: skip

    def _wanted(self) -> set[str]:
        """The ids that something refers to."""
        known: set[str] = set()
        for node in self._root.iter():
            for name, value in node.attrib.items():
                known.update(_REFERENCE.findall(value))
                if name in {"href", _HREF} and value.startswith("#"):
                    known.add(value[1:])
        return known & self._kinds.keys()

    def _inside(self, node: ET.Element) -> Iterator[object]:
        yield (node.text or "") if _name(node) in {"text", "tspan", "title", "desc"} else ""
        for child in node:
            if _name(child) in ELEMENTS:
                yield self._copy(child)
            yield (child.tail or "") if _name(node) in {"text", "tspan"} else ""

    def _copy(self, node: ET.Element) -> Html:
        kind = "spot" if node.get("class") == "spot" else ""
        attributes = dict(self._attributes(node))
        if _name(node) in {"use", "image"} and "href" not in attributes:
            return Html()
        return element(_name(node), join(*self._inside(node)), kind=kind, **attributes)

    def _attributes(self, node: ET.Element) -> Iterator[tuple[str, str]]:
        for name, value in node.attrib.items():
            if name == "id" and value in self._ids:
                yield name, self._ids[value]
            elif name in {"href", _HREF}:
                yield from self._link(_name(node), value)
            elif name == "style":
                yield "style", self._style(value)
            elif name in ATTRIBUTES and (text := self._value(value)):
                yield name, text

    def _link(self, kind: str, value: str) -> Iterator[tuple[str, str]]:
        """What an image holds, or a shape: of what is used again and again only the first fits."""
        if kind == "image" and _IMAGE.fullmatch(value):
            yield "href", "".join(value.split())
        elif kind == "use" and self._kinds.get(value[1:]) in SHAPES and value[1:] in self._ids:
            yield "href", f"#{self._ids[value[1:]]}"

    def _style(self, text: str) -> str:
        pairs = (part.partition(":") for part in text.split(";"))
        both = ((name.strip(), self._value(value)) for name, _, value in pairs)
        return ";".join(f"{name}:{value}" for name, value in both if name in LOOKS and value)

    def _value(self, value: str) -> str:
        """A value on one line, if it is inert; its references are to this picture's parts."""
        text = " ".join(value.split())
        if _ACTIVE.search(_FUNCTION.sub(" ", text)):
            return ""
        return _REFERENCE.sub(lambda m: f"url(#{self._ids.get(m[1], 'none')})", text)


def _name(node: ET.Element) -> str:
    tag = node.tag if isinstance(node.tag, str) else ""  # a comment's is a function
    return tag.removeprefix(NAMESPACE) if tag.startswith(NAMESPACE) else ""
