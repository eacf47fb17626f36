"""What a server counted and charged, as far as it makes sense."""

from math import isnan

import pytest

from holymon.protocols.usage import read_usage
from holymon.records.attempt import Marks


@pytest.mark.parametrize(
    ("cost", "more", "charged"),
    [
        (0.95, {}, 0.95),
        (0, {"is_byok": False}, 0.0),
        (0.05, {"is_byok": True, "cost_details": {"upstream_inference_cost": 1}}, 1.05),
        (0.05, {"is_byok": False, "cost_details": {"upstream_inference_cost": 1}}, 0.05),
        (0.05, {"is_byok": True, "cost_details": {"upstream_inference_cost": None}}, 0.05),
        ({"total_cost": 0.006, "request_cost": 0.005}, {}, 0.006),
        ("0.95", {}, None), (True, {}, None), (-1, {}, None), (1e300, {}, None), ([], {}, None),
        ({}, {}, None), (None, {}, None), (0.05, {"is_byok": True, "cost_details": 7}, 0.05),
    ],
)  # fmt: skip
def test_what_a_gateway_charged_is_read_where_it_is_an_amount(cost, more, charged):
    marks = Marks(0, 0, 0.0)
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": cost, **more}
    assert read_usage(usage, marks)
    assert (marks.prompt_tokens, marks.output_tokens) == (3, 2)
    assert isnan(marks.cost) if charged is None else marks.cost == pytest.approx(charged)
