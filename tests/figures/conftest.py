"""No sentence that a test makes has a hole where a value belongs."""

from collections.abc import Iterator, Mapping

import pytest

from holymon.language.said import Said


@pytest.fixture(scope="module", autouse=True)
def whole_sentences() -> Iterator[None]:
    """A figure that is not known is shown as a dash, and never as the word None."""
    made = Said.__new__

    def checked(cls, text, template="", values=()):
        pieces = values.values() if isinstance(values, Mapping) else values
        assert None not in [*pieces], f"no value for a place of {template or text!r}"
        return made(cls, text, template, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Said, "__new__", checked)
        yield
