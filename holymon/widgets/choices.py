"""The part of the dashboard where targets are chosen, or added by their URL."""

from collections.abc import Callable

import ipywidgets as w

from holymon.errors import ConfigError
from holymon.load.caller import key_of
from holymon.plan.plan import Target
from holymon.plan.targets import one_off, providers, target
from holymon.safety import short
from holymon.widgets.fields import WIDE, heading, line


class Targets:
    """A list of targets to tick, and a form for one more."""

    def __init__(self, chosen: tuple[str, ...], changed: Callable[[], None]) -> None:
        """Everything in targets.toml, with those of `chosen` ticked. Raises PlanError."""
        self._changed = changed
        self._targets: dict[w.Checkbox, Target] = {}
        self._list = w.VBox(layout=w.Layout(max_height="318px", overflow="auto"))
        self._url = line("Base URL", placeholder="https://api.example.com/v1")
        self._model = line("Model")
        self._key = line("Key variable", placeholder="MY_API_KEY (its name)")
        self.add_button = w.Button(description="Add target", icon="plus")
        known = [f"{name}/{model}" for name, about in providers().items()
                 for model in about.get("models", {})]  # fmt: skip
        for name in [*known, *(one for one in chosen if one not in known)]:
            self.add(target(name), ticked=name in chosen)
        self.box = w.VBox([
            heading("Targets"), self._list, heading("Another one"),
            self._url, self._model, self._key, self.add_button,
        ])  # fmt: skip

    @property
    def chosen(self) -> tuple[Target, ...]:
        """The ticked ones."""
        return tuple(one for box, one in self._targets.items() if box.value)

    def add(self, one: Target, *, ticked: bool = True) -> None:
        """One more in the list. Its name is text from a file or a user: it goes in as text."""
        # The style cuts what is too long for its column; all of it is shown to who points at it.
        words = short(one.name, 200)
        if one.provider == "url":
            words = f"{short(one.model, 200)} at {short(one.base_url, 200)}"
        if not _has_key(one):
            words += f"  ({one.api_key_env} is not set)"
        box = w.Checkbox(value=ticked, description=words, indent=False, layout=WIDE,
                         description_allow_html=False, tooltip=words)  # fmt: skip
        box.observe(lambda _: self._changed(), "value")
        self._targets[box] = one
        self._list.children = tuple(self._targets)

    def add_written(self) -> None:
        """Add what the form says. Raises PlanError."""
        texts = [field.value.strip() for field in (self._url, self._model, self._key)]
        self.add(one_off(*texts))
        for field in (self._url, self._model, self._key):
            field.value = ""
        self._changed()


def _has_key(one: Target) -> bool:
    try:
        key_of(one)
    except ConfigError:
        return False
    return True
