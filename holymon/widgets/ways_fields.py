"""Fields for how targets are asked, folded away until they are wanted."""

from collections.abc import Iterable

import ipywidgets as w

from holymon.plan.target import ENDPOINTS, Target
from holymon.plan.ways import with_ways
from holymon.widgets.fields import choice_field, lines_field, text_field


class WaysFields:
    """Endpoint, key, headers, query and fields of the body, for all targets."""

    def __init__(self) -> None:
        """Nothing is asked otherwise than the targets say."""
        self._endpoint = choice_field(
            "Endpoint", [("the target's own", ""), *((n, n) for n in ENDPOINTS)]
        )
        self._auth = text_field("Key as", placeholder="bearer, none, api-key")
        self._headers = lines_field("Headers", "NAME=VALUE\nX-Team=$TEAM")
        self._query = lines_field("Query", "api-version=2024-10-21")
        self._body = lines_field("Set", 'temperature=0\nreasoning.effort="low"\nmax_tokens=null')
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
