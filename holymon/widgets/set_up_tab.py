"""From widgets to a plan: what is called, when, what is asked, and where it ends."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import ipywidgets as w

from holymon.errors import ConfigError, PlanError
from holymon.formatting import element, join
from holymon.load.requests import secrets_of
from holymon.load.shown_request import shown_request
from holymon.plan import shapes
from holymon.plan.dataset import Dataset
from holymon.plan.lengths import parse
from holymon.plan.plan import Closed, Open, Plan
from holymon.plan.prompts import VARIETY, Prompts, limited, made
from holymon.plan.replay_file import replay
from holymon.plan.target import Target
from holymon.plan.targets import one_off, providers, target
from holymon.records.datasets import dataset
from holymon.safety import plain, short
from holymon.widgets.fields import (
    LABEL,
    WIDE,
    choice_field,
    heading,
    html,
    integer_field,
    lines_field,
    number_field,
    picture,
    text_field,
)
from holymon.widgets.file_field import file_field, offer
from holymon.widgets.ways_fields import WaysFields

TRACE: Final = "Trace file"
SHAPES: Final[dict[str, tuple[tuple[str, float | str], ...]]] = {
    "constant": (("Calls per s", 5.0),),
    "ramp": (("From, per s", 1.0), ("To, per s", 20.0)),
    "steps": (("Rates, per s", "2, 5, 10"),),
    "spike": (("Base, per s", 2.0), ("Peak, per s", 20.0)),
    "sine": (("Mean, per s", 10.0), ("Swing, per s", 5.0), ("Period, s", 10.0)),
    "replay": ((TRACE, ""), ("Speed", 1.0)),
}
ARRIVALS: Final = (("evenly spaced", "constant"), ("at random (Poisson)", "poisson"),
                   ("in bursts (gamma)", "gamma"))  # fmt: skip
SECONDS, CALLS = "seconds", "calls for each target"
TEXT, FILE, MADE = "one text", "a file", "made-up text"


def _read(path: Path, column: str, conversations: bool) -> Dataset:
    """The requests in a file; read again only if it was changed."""
    try:
        about = path.stat()
    except OSError as error:
        raise ConfigError(f"can't read requests from {path}: {error}.") from None
    return _read_once(path, column, conversations, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=2)
def _read_once(path: Path, column: str, conversations: bool, *_: int) -> Dataset:
    return dataset(path, column=column, conversations=conversations)


class SetUpTab:
    """All fields of a plan, and the picture of when its calls are due."""

    def __init__(self, targets: tuple[str, ...], changed: Callable[[], None]) -> None:
        """Fields with values that run as they are; `changed` is called after each change."""
        self.targets = TargetList(targets, changed)
        self._load_fields()
        self._ask_fields()
        self._limit_fields()
        self.ways = WaysFields()
        self.preview = picture()
        self.preview.add_class("hm-preview")
        for field in self._fields():
            field.observe(lambda _: changed(), "value")
        for field in (self._loop, self._shape, self._arrivals, self._ends, self._kind):
            field.observe(lambda _: self._show(), "value")
        self._show()
        load = w.VBox([
            heading("Load"), self._loop, self._users, self._shape, *self._forms.values(),
            self._arrivals, self._cv, self._ends, self._length, self._warmup, self.preview,
        ])  # fmt: skip
        ask = w.VBox([
            heading("What is asked"), self._kind, self._text, self._file, self._column,
            self._held, self._tokens, self._system, self._max_tokens, self._stream,
            self.ways.box, self.first,
            heading("Limits and goals"), self._money, self._slo,
            self._workers, self._name,
        ])  # fmt: skip
        self.box = w.GridBox([self.targets.box, load, ask])
        self.box.add_class("hm-form")

    def plan(self) -> Plan:
        """The plan that the fields describe.

        Raises PlanError if they describe none, ConfigError if a file of the user's can't be read.
        """
        if not self.targets.chosen:
            raise PlanError("no target is chosen: tick one on the left.")
        counts = self._ends.value == CALLS
        seconds = None if counts else float(self._length.value)
        if counts and self._length.value != int(self._length.value):
            raise PlanError("a number of calls must be whole.")
        return Plan(
            targets=self.ways.applied(self.targets.chosen), load=self._load(seconds),
            prompts=self._prompts(),
            duration_s=seconds, requests=int(self._length.value) if counts else None,
            warmup_s=self._warmup.value, max_cost=_money(self._money.value),
            workers=self._workers.value, name=self._name.value.strip(),
            slo=tuple(filter(None, map(str.strip, self._slo.value.replace("\n", ",").split(",")))),
        )  # fmt: skip

    def _load(self, seconds: float | None) -> Open | Closed:
        if self._loop.value == "closed":
            return Closed(users=self._users.value)
        kind = self._shape.value
        values = [field.value for field in self._forms[kind].children]
        if kind == "replay":
            return Open(replay(_path("times", values[0]), speed=values[1]))
        how = self._arrivals.value
        if how == "gamma":
            how = f"gamma:{self._cv.value}"
        if kind == "constant":
            return Open(shapes.parse(kind, rate=values[0], seconds=seconds, arrivals=how))
        rates = ",".join(str(value).replace(" ", "") for value in values)
        return Open(shapes.parse(f"{kind}:{rates}", rate=0, seconds=seconds, arrivals=how))

    def _prompts(self) -> Prompts:
        answers = parse(self._max_tokens.value, "max_tokens")
        varies = answers.kind != "fixed"
        more: dict[str, Any] = {"stream": self._stream.value, "system": self._system.value.strip()}
        if not varies:
            more["max_tokens"] = round(answers.first)
        if self._kind.value == FILE:
            path = _path("prompts", self._file.value)
            known = _read(path, self._column.value.strip(), self._held.value)
            return Prompts(dataset=limited(known, answers) if varies else known, **more)
        if self._kind.value == MADE:
            sizes = parse(self._tokens.value, "prompt_tokens")
            return Prompts(dataset=made(sizes, answers if varies else None), **more)
        if not self._text.value.strip():
            raise PlanError("there is nothing to ask: write a prompt.")
        if varies:
            several = dataset([self._text.value] * VARIETY)
            return Prompts(dataset=limited(several, answers), **more)
        return Prompts(texts=(self._text.value,), **more)

    def look(self, plan: Plan) -> None:
        """Show the first request as the first target will be sent it, but for what is secret."""
        shown = element("pre", shown_request(plan, plan.targets[0]), kind="hm-first")
        words = plan.prompts.words
        self.first.value = join(element("p", words), shown) if plan.prompts.turns > 1 else shown

    def _load_fields(self) -> None:
        loops = [("open: by a schedule", "open"), ("closed: users wait", "closed")]
        self._loop = choice_field("Loop", loops)
        self._users = integer_field("Users", 4)
        self._shape = choice_field("Shape", list(SHAPES))
        self._forms = {kind: w.VBox([_field(label, value) for label, value in fields], layout=WIDE)
                       for kind, fields in SHAPES.items()}  # fmt: skip
        self._arrivals = choice_field("Arrivals", ARRIVALS)
        self._cv = number_field("cv of gaps", 2.0)
        self._ends = choice_field("Ends after", [SECONDS, CALLS])
        self._length = number_field("How long", 30.0)
        self._warmup = number_field("Warm-up, s", 0.0)

    def _ask_fields(self) -> None:
        self._kind = choice_field("Prompts", [TEXT, FILE, MADE])
        self._text = w.Textarea(
            "Say hello in one short sentence.", description="Prompt", style=LABEL,
            layout={"width": "auto", "height": "120px"},
        )  # fmt: skip
        self._file = file_field("File", "prompts, a log, a trace")
        self._column = text_field("Column", placeholder="only if asked for")
        self._held = w.Checkbox(value=False, description="as conversations", layout=WIDE,
                                style=LABEL, tooltip="hold them turn by turn")  # fmt: skip
        self._tokens = text_field("Tokens", "200", placeholder="or normal:512,128")
        self._max_tokens = text_field("Max tokens", "64", placeholder="or uniform:10,200")
        self._system = text_field("System", placeholder="no system prompt")
        self.first = html()
        self._stream = w.Checkbox(value=True, description="stream the answers", layout=WIDE,
                                  style=LABEL)  # fmt: skip

    def _limit_fields(self) -> None:
        self._money = text_field("Spend, USD", placeholder="no limit")
        self._slo = lines_field("Goals", "ttft_p95<0.5\nerror_rate<1%")
        self._workers = integer_field("Workers", 1)
        self._name = text_field("Name", placeholder="made from the models")

    def _fields(self) -> list[Any]:
        forms = [field for form in self._forms.values() for field in form.children]
        return [
            self._loop, self._users, self._shape, self._arrivals, self._cv, self._ends,
            self._length, self._warmup, self._kind, self._text, self._file, self._column,
            self._held, self._tokens, self._system, self._max_tokens, self._stream, self._money,
            self._slo, self._workers, self._name, *forms, *self.ways.fields,
        ]  # fmt: skip

    def _show(self) -> None:
        """Show the fields that matter for what is chosen."""
        offer((self._file, *self._forms["replay"].children))
        is_open, kind = self._loop.value == "open", self._shape.value
        for field, shown in (
            (self._users, not is_open), (self._shape, is_open),
            *((form, is_open and name == kind) for name, form in self._forms.items()),
            (self._arrivals, is_open and kind != "replay"),
            (self._cv, is_open and kind != "replay" and self._arrivals.value == "gamma"),
            (self._text, self._kind.value == TEXT), (self._file, self._kind.value == FILE),
            (self._column, self._kind.value == FILE), (self._held, self._kind.value == FILE),
            (self._tokens, self._kind.value == MADE),
        ):  # fmt: skip
            field.layout.display = None if shown else "none"
        counts = self._ends.value == CALLS
        self._length.description = "How many" if counts else "How long, s"


class TargetList:
    """A list of targets to tick, and a form for one more."""

    def __init__(self, chosen: tuple[str, ...], changed: Callable[[], None]) -> None:
        """Everything in targets.toml, with those of `chosen` ticked. Raises PlanError."""
        self._changed = changed
        self._targets: dict[w.Checkbox, Target] = {}
        self._list = w.VBox(layout=w.Layout(max_height="318px", overflow="auto"))
        self._url = text_field("Base URL", placeholder="https://example.com/v1")
        self._model = text_field("Model")
        self._key = text_field("Key variable", placeholder="MY_API_KEY (its name)")
        self.add_button = w.Button(description="Add target", icon="plus")
        known = (f"{name}/{model}" for name, about in providers().items()
                 for model in about.get("models", {}))  # fmt: skip
        for name in dict.fromkeys((*chosen, *known)):
            self.add(target(name), ticked=name in chosen)
        self.box = w.VBox([
            heading("Targets"), self._list, heading("Another one"),
            self._url, self._model, self._key, self.add_button,
        ])  # fmt: skip

    @property
    def chosen(self) -> tuple[Target, ...]:
        """The targets that are ticked, in the order of the list."""
        return tuple(entry for box, entry in self._targets.items() if box.value)

    def add(self, entry: Target, *, ticked: bool = True) -> None:
        """One more in the list, below those that are ticked if it is; its name goes in as text."""
        # The style cuts what is too long for its column; all of it is shown to who points at it.
        words = short(entry.name, 200)
        if entry.provider == "url":
            words = f"{short(entry.model, 200)} at {short(entry.base_url, 200)}"
        if not _has_key(entry):
            words += f"  ({entry.api_key_env} is not set)"
        box = w.Checkbox(value=ticked, description=words, indent=False, layout=WIDE,
                         description_allow_html=False, tooltip=words)  # fmt: skip
        box.observe(lambda _: self._changed(), "value")
        entries = [*self._targets.items(), (box, entry)]
        self._targets = dict(sorted(entries, key=lambda item: not item[0].value))
        self._list.children = tuple(self._targets)

    def add_written(self) -> None:
        """Add the target that the form describes. Raises PlanError if there can be none such."""
        texts = [field.value.strip() for field in (self._url, self._model, self._key)]
        self.add(one_off(*texts))
        for field in (self._url, self._model, self._key):
            field.value = ""
        self._changed()


def _field(label: str, value: float | str) -> Any:
    if label == TRACE:
        return file_field(label)
    return text_field(label, value) if isinstance(value, str) else number_field(label, value)


def _path(what: str, text: str) -> Path:
    if not text.strip():
        raise PlanError(f"there is no file of {what} yet: write its path.")
    return Path(text.strip())


def _money(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise PlanError(f"the spending limit {plain(text)!r} is not a number of USD.") from None


def _has_key(entry: Target) -> bool:
    try:
        secrets_of(entry)
    except ConfigError:
        return False
    return True
