"""The place that measures, as its owner calls it: `HOLYMON_PLACE=hanoi`; nobody guesses one.

Reports are shown to others, and the name of a machine is nobody else's: without a name a run says
of no place.
"""

import os
from typing import Final

from holymon.errors import PlanError
from holymon.safety import looks_secret, plain

ENV: Final = "HOLYMON_PLACE"
MOST: Final = 40


def place() -> str:
    """The name of this place; empty if it was not given one. Raises PlanError for what is none."""
    return checked(os.environ.get(ENV, ""))


def checked(name: str) -> str:
    """A name of a place. Raises PlanError for what can't be one."""
    if len(name) > MOST or plain(name) != name or "\n" in name or looks_secret("", name):
        raise PlanError(
            f"the name of a place (--place, {ENV}) has at most {MOST} characters on one line, and "
            "is no key."
        )
    return name.strip()
