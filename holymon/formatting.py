"""Figures as text, with as many digits as they bear; tables as text and HTML, all made here.

What a result says is a `Table`; whoever shows it (a terminal, a notebook, a report, the dashboard)
only places its text or its HTML. All of it is shown in the language of the document (`language`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from holymon.language.direction import isolated
from holymon.language.said import Digits, glued, say, say_n, shown
from holymon.safety import escape, plain, short
from holymon.structs import Interval, Rate

DASH: Final = "–"
"""What stands where there is no figure."""

FIGURES: Final = 3
CLOSE: Final = 4
"""Significant figures of what was measured, and of amounts that are compared or add up."""

_RUN: Final = re.compile(r"/(\d{8}T\d{6}Z[A-Za-z0-9-]{0,40})(?=<)")
LEFT: Final = "text-align: left"  # in a notebook, too, whose own sheet has all cells at the right

Cell = str | tuple[str, str]
"""A text, or a text and the interval that stands below it (empty, it holds the place)."""


def ends(text: str, limit: int) -> str:
    """`text` as by `short`, but cut in its middle: names of versions differ at their ends."""
    line, last = short(text, 8 * limit), (limit - 1) // 2
    return line if len(line) <= limit else f"{line[: limit - 1 - last]}…{line[-last:]}"


def file_name(text: str, limit: int = 80) -> str:
    """A file name made from any text: `[A-Za-z0-9._-]`, never hidden, reserved or too long.

    What had to be changed gets eight hexadecimal digits of its own, so two texts stay two names.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "run"
    reserved = re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)
    if name == text and len(name) <= limit and not reserved:
        return name
    return f"{name[:limit]}-{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


_MARKDOWN: Final = re.compile(r"[\\`*_{}\[\]#|<>~&@$^]|:(?=//)|(?<=\bwww)\.", re.IGNORECASE)


def markdown(text: str) -> str:
    """`text` on one line, so that Markdown takes nothing of it for its own (CommonMark 2.4).

    No link, picture, mention or HTML comes of it, nor a link that GitHub makes of a bare address.
    """
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(plain(shown(text)).split()))


def ms(seconds: float | None) -> str:
    """Seconds as milliseconds with `FIGURES` figures."""
    if seconds is None:
        return DASH
    value = seconds * 1e3
    if value == 0:
        return "0"
    return Digits(f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}")


def per_cent(number: str) -> str:
    """A number of hundredths with its sign: the one place that puts it there.

    English as the SI brochure (9th edition, 5.4.7) and ISO 80000-1 have it, with a space; other
    languages as their translation says, which is CLDR's pattern (of Vietnamese `#,##0%`).
    """
    return say("{share} %", share=number)


def percent(share: float | None) -> str:
    """A share as per cent, with two figures; 100 only where it is all."""
    return DASH if share is None else per_cent(hundredths(share))


def hundredths(share: float) -> str:
    """The number of `percent`, for where its sign comes with a second one."""
    if share < 0.995:
        return Digits(f"{share * 100:.2g}" if share > -0.995 else f"{share * 100:,.0f}")
    # All is said of all only: one failure in a million is still one.
    texts = (f"{share * 100:.{digits}g}" for digits in range(4, 17))
    text = next((text for text in texts if share >= 1 or text != "100"), "100")
    return Digits(text)


def rounded(value: float | None, figures: int = FIGURES) -> str:
    """A number with so many figures, or all it has before the point."""
    if value is None:
        return DASH
    no_fraction = abs(value) >= 10**figures - 0.5
    return Digits(f"{value:,.0f}" if no_fraction else f"{value:,.{figures}g}")


def count(value: int | None) -> str:
    """A whole number, in groups of three digits."""
    return DASH if value is None else Digits(f"{value:,}")


def tokens(median: float | None) -> str:
    """A number of tokens that may lie between two, as a median can."""
    return DASH if median is None else Digits(f"{median:,.0f}")


def number_of(n: int, noun: str) -> str:
    """So many of something: `1 call`, `2,000 calls`."""
    return say_n(n, f"{{n:,}} {noun}", f"{{n:,}} {noun}s")


def ms_cell(seconds: float | None, interval: Interval | None) -> Cell:
    """A duration in milliseconds above its interval."""
    return ms(seconds), glued(ms(interval[0]), DASH, ms(interval[1])) if interval else ""


def rate_cell(rate: Rate) -> Cell:
    """A share above its interval."""
    if rate.low is None or rate.high is None:
        return percent(rate.value), ""
    return percent(rate.value), per_cent(glued(hundredths(rate.low), DASH, hundredths(rate.high)))


def failed_of(rate: Rate) -> str:
    """An error rate in words; no errors are never shown without their upper bound."""
    if rate.value is None or rate.low is None or rate.high is None:
        return say("no error rate")
    failed = round(rate.value * rate.of)
    if failed == 0:
        return say("0 of {of:,} failed, at most {high}", of=rate.of, high=percent(rate.high))
    return say(
        "{failed:,} of {of:,} failed, {share} ({low} to {high})", failed=failed, of=rate.of,
        share=percent(rate.value), low=percent(rate.low), high=percent(rate.high),
    )  # fmt: skip


class Html(str):
    """HTML whose texts are escaped already: whatever makes pages takes it as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        """Itself, for Jinja."""
        return str(self)


def element(tag: str, *content: object, kind: str = "", **attributes: str) -> Html:
    """`<tag>` around `content`, which is escaped unless it is `Html`; `kind` is its class."""
    named = {"class": kind, **attributes}
    inside = "".join(f' {name}="{escape(shown(value))}"' for name, value in named.items() if value)
    return Html(f"<{tag}{inside}>{join(*content)}</{tag}>")


class Headline(str):
    """A verdict in a line, for a page to begin with; `state`, as `health` has it, is its colour."""

    __slots__ = ("sentence", "state")
    sentence: str
    state: str

    def __new__(cls, text: str, state: str) -> Self:
        """The sentence `text`, in that state."""
        made = super().__new__(cls, text)
        made.sentence, made.state = text, state
        return made

    def __repr__(self) -> str:
        return plain(shown(self.sentence))

    def _repr_html_(self) -> Html:
        return element("p", self.sentence, kind=f"health {self.state}")


def join(*content: object) -> Html:
    """One after the other; what is not `Html` is shown, and escaped."""
    return Html("".join(p if isinstance(p, Html) else isolated(escape(shown(p))) for p in content))


def stacked(*content: object) -> Html:
    """One piece below the other; what is not `Html` is escaped."""
    return Html("<br>".join(map(join, content)))


def bullets(items: Iterable[object], kind: str = "") -> Html:
    """A list; nothing if there is nothing in it."""
    inner = [element("li", item) for item in items]
    return element("ul", *inner, kind=kind) if inner else Html()


@dataclass(frozen=True, slots=True)
class Table:
    """What a result says: sentences, rows under heads, and notes.

    `lead` comes before the rows, its first sentence being the answer. `align` has a letter for
    each column, `l` or `r`; the last one holds for all that follow.
    """

    heads: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    align: str = "lr"
    lead: Sequence[str] = ()
    notes: Sequence[str] = ()

    def text(self) -> str:
        """For a terminal: an interval stands in a line of its own, below its figure."""
        lines = [*self.lead[:1], *("  " + sentence for sentence in self.lead[1:])]
        lines += [*self._grid(), *self.notes]
        return "\n".join(plain(shown(line)).rstrip() for line in lines)

    def html(self, kind: str = "") -> Html:
        """For a page: a table of the class `kind`, the sentences before it and the notes after."""
        answer = [element("p", element("b", sentence)) for sentence in self.lead[:1]]
        shown = element(
            "table",
            element("thead", self._row("th", self.heads)),
            element("tbody", *(self._row("td", row) for row in self.rows)),
            kind=kind,
        )
        whole = _RUN.sub(r'/<span class="moment">\1</span>', shown)
        return join(
            *answer, bullets(self.lead[1:]), Html(whole if self.heads or self.rows else ""),
            bullets(self.notes, "notes"),
        )  # fmt: skip

    def markdown(self) -> str:
        """As a table of GitHub's Markdown: an interval stands behind its figure."""
        rows = [self.heads, *self.rows]
        lines = ["| " + " | ".join(markdown(_behind(cell)) for cell in row) + " |" for row in rows]
        rule = [":--" if not side else "--:" for side in self._sides(len(self.heads))]
        table = [lines[0], "| " + " | ".join(rule) + " |", *lines[1:]] if self.heads else []
        lead = [f"{markdown(sentence)}\n" for sentence in self.lead]
        notes = [""] * bool(self.notes) + [f"- {markdown(sentence)}" for sentence in self.notes]
        return "\n".join([*lead, *table, *notes])

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def _sides(self, n: int) -> list[str]:
        """The class of each of `n` columns: numbers stand at the right."""
        return ["num" * (side == "r") for side in self.align.ljust(n, self.align[-1])[:n]]

    def _row(self, tag: str, cells: Sequence[Cell]) -> Html:
        sides, scope = self._sides(len(cells)), "col" * (tag == "th")
        return element(
            "tr",
            *(element(tag, _stack(cell), kind=side, scope=scope, style="" if side else LEFT)
              for cell, side in zip(cells, sides, strict=True)),
        )  # fmt: skip

    def _grid(self) -> list[str]:
        grid = [tuple(self.heads)] if any(self.heads) else []
        for row in self.rows:
            pairs = [cell if isinstance(cell, tuple) else (cell, "") for cell in row]
            values, intervals = zip(*pairs, strict=True)
            grid += [values, (say("  95 % interval"), *intervals[1:])][: 1 + any(intervals)]
        grid = [tuple(" ".join(plain(shown(cell)).splitlines()) for cell in line) for line in grid]
        widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
        sides = self._sides(len(widths))
        return [
            "  ".join(cell.rjust(width) if side else cell.ljust(width)
                      for cell, width, side in zip(line, widths, sides, strict=True))
            for line in grid
        ]  # fmt: skip


class Tables(tuple[Table, ...]):
    """Tables, one below the other."""

    __slots__ = ()

    def text(self) -> str:
        """For a terminal, as those of each."""
        return "\n".join(table.text() for table in self)

    def html(self, kind: str = "") -> Html:
        """For a page, as those of each."""
        return join(*(table.html(kind) for table in self))


def _behind(cell: Cell) -> str:
    """A cell in one line, its interval behind its value."""
    value, interval = (cell, "") if isinstance(cell, str) else cell
    return glued(value, " (", interval, ")") if interval else value


def _stack(cell: Cell) -> object:
    """A cell of two lines; an empty interval holds its place, so that nothing jumps."""
    if isinstance(cell, str):
        return cell
    value, interval = cell
    return stacked(value, element("small", interval or "\u00a0"))
