"""Fields for how targets are asked, folded away until they are wanted."""

from collections.abc import Iterable
from typing import Any

import ipywidgets as w

from holymon.plan.target import ENDPOINTS, Target
from holymon.plan.ways import with_ways
from holymon.widgets.fields import LABEL, choice_field, text_field


class WaysFields:
    """Endpoint, key, headers, query and fields of the body, for all targets."""

    def __init__(self) -> None:
        """Nothing is asked otherwise than the targets say."""
        self._endpoint = choice_field(
            "Endpoint", [("as each target says", ""), *((n, n) for n in ENDPOINTS)]
        )
        self._auth = text_field("Key as", placeholder="bearer, none, or a header: api-key")
        self._headers = _lines("Headers", "NAME=VALUE\nX-Team=$TEAM")
        self._query = _lines("Query", "api-version=2024-10-21")
        self._body = _lines("Set", 'temperature=0\nreasoning.effort="low"\nmax_tokens=null')
        self.fields = (self._endpoint, self._auth, self._headers, self._query, self._body)
        self.box = w.Accordion(
            [w.VBox(list(self.fields))], titles=("How it is asked",), selected_index=None
        )

    def applied(self, targets: Iterable[Target]) -> tuple[Target, ...]:
        """The targets, asked as the fields say, which win. Raises PlanError."""
        header, query, field = (
            tuple(line for line in lines.value.splitlines() if line.strip())
            for lines in (self._headers, self._query, self._body)
        )
        auth = self._auth.value.strip()
        return with_ways(targets, self._endpoint.value, auth, header, query, field, mark="")


def _lines(label: str, placeholder: str) -> Any:
    """A field for several lines."""
    return w.Textarea(description=label, placeholder=placeholder, style=LABEL,
                      layout={"width": "auto", "height": "58px"})  # fmt: skip
