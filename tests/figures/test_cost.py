"""What calls have cost, where that is known."""

import numpy as np

from holymon.errors import CODES
from holymon.figures.cost import costs
from holymon.plan.price import Price
from holymon.records.attempt import DTYPE, Flag


def test_a_row_with_unknown_tokens_has_no_known_cost():
    rows = np.zeros(3, DTYPE)
    rows["prompt_tokens"], rows["output_tokens"], rows["cached_tokens"] = 10, 10, -1
    rows["flags"] = [Flag.SERVER_TOKENS, 0, 0]
    rows["error"] = [0, 0, CODES["rate_limited"]]
    found = costs(rows, Price(input=1.0, output=1.0))
    np.testing.assert_array_equal(found, [20 / 1e6, np.nan, 0.0])
