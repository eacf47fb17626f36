"""Results in plain lines that a file can keep: tables, data, properties."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np


def squeezed(text: str) -> list[str]:
    """Lines of a table, with one blank between cells."""
    return [" ".join(part.split()) for part in text.splitlines()]


def plain(value: Any, name: str = "") -> Iterator[str]:
    """A value as lines, `name: value`, floats with six figures; what is None is left out."""
    value = _taken_apart(value)
    if isinstance(value, dict):
        flat = {key: _flat(each) for key, each in value.items()}
        if known := [f"{key} {text}" for key, text in flat.items() if text]:
            yield f"{name}: {', '.join(known)}"
        for key, each in value.items():
            if flat[key] is None:
                yield from plain(each, f"{name}.{key}" if name else str(key))
    elif (text := _flat(value)) is None:
        for k, each in enumerate(value):
            yield from plain(each, f"{name}[{k}]")
    else:
        yield f"{name}: {text}"


def _taken_apart(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if dataclasses.is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return value._asdict()
    return value.tolist() if isinstance(value, np.ndarray) else value


def _flat(value: Any) -> str | None:
    """A value that fits in a line; None of one that has parts."""
    value = _taken_apart(value)
    if isinstance(value, dict):
        return None if value else "{}"
    if isinstance(value, list | tuple):
        if all(isinstance(each, int | float | None) for each in value):
            return f"[{' '.join(map(_number, value))}]"
        return None
    return "" if value is None else _number(value)


def _number(value: Any) -> str:
    if isinstance(value, bool | np.bool_) or not isinstance(value, float | np.floating):
        return str(value)
    return f"{value:.6g}" if math.isfinite(value) else str(float(value))


def shown(title: str, result: Any) -> list[str]:
    """A result as its tables, as its data and by its properties, after its title."""
    table = getattr(result, "table", None)
    tables = squeezed(table.text()) if table is not None else []
    return [f"== {title}", *tables, *plain(result), *properties(result)]


def properties(result: Any) -> Iterator[str]:
    """What a result of ours, or those in a list, say beside their data."""
    if isinstance(result, list | tuple) and not hasattr(result, "_asdict"):
        for each in result:
            yield from properties(each)
    if type(result).__module__.startswith("holymon"):
        for name, kind in sorted(vars(type(result)).items()):
            if isinstance(kind, property) and not name.startswith("_"):
                if (text := _flat(getattr(result, name))) is not None:
                    yield f"{name}: {text}"
                elif isinstance(value := getattr(result, name), list | tuple) and (
                    all(isinstance(each, str | tuple) for each in value)
                ):
                    yield f"{name}: {' | '.join(map(str, value))}"


def differing(title: str, result: Any, other: Any) -> list[str]:
    """What of a result is not as it is in another one."""
    there = {*shown("", other)}
    return [f"== {title}", *(each for each in shown("", result) if each not in there)]
