"""What plans are made of: frozen values of sure types, told in words, to and from JSON."""

from typing import Any, TypeVar

import msgspec
import numpy as np

from holymon.errors import PlanError
from holymon.safety import plain


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What plans are made of: frozen, named fields, no field unknown."""

    def __post_init__(self) -> None:
        """Bring every field to its type: lists become tuples, numpy's numbers Python's own.

        What comes from JSON has its types already; what comes from a notebook may not.
        """
        for field in msgspec.structs.fields(self):
            given = getattr(self, field.name)
            native = given.item() if isinstance(given, np.generic) else given
            try:
                value = msgspec.convert(native, field.type)
            except msgspec.ValidationError as error:
                raise PlanError(f"{field.name}: {plain(str(error))}.") from None
            if value is not given:
                msgspec.structs.force_setattr(self, field.name, value)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The fields that differ from their defaults, in words; without the name."""
        given = [(field, getattr(self, field.name)) for field in msgspec.structs.fields(self)]
        return [
            (field.name, told(value))
            for field, value in given
            if value != field.default and field.name != "name"
        ]

    @property
    def words(self) -> str:
        """All of it in a line."""
        return ", ".join(f"{name} {said}" for name, said in self.facts)


_S = TypeVar("_S", bound=Struct)


def replace(value: _S, **changes: Any) -> _S:
    """A copy with some fields changed, and checked. Raises PlanError."""
    return msgspec.structs.replace(value, **changes)


def told(value: Any) -> str:
    """A value of a plan in words."""
    if isinstance(value, tuple):
        return ", ".join(map(told, value))
    if isinstance(value, Struct):
        return value.words
    return f"{value:g}" if isinstance(value, float) else str(value)


def to_builtins(value: Any) -> Any:
    """A plan or a part of it as dicts, lists and scalars, ready for JSON."""
    return msgspec.to_builtins(value)


def from_builtins(value: Any, kind: type[msgspec.Struct], where: str) -> Any:
    """A part of a plan from dicts and lists; PlanError names `where` and the field."""
    try:
        return msgspec.convert(value, type=kind)
    except msgspec.ValidationError as error:
        raise PlanError(f"{where}: {plain(str(error.__cause__ or error)).rstrip('.')}.") from None
