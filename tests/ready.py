"""Imported when all tests are: what hypothesis learns once of letters, and of our sources."""

from hypothesis import given, settings
from hypothesis import strategies as st


@settings(database=None, deadline=None)
@given(st.text())
def draw(text: str) -> None:
    """Draw texts, among them what stands in modules that are imported by now."""


draw()
