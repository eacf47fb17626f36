"""The notebooks that nothing else runs go from top to bottom without a key, and show what they say."""

import pytest

import holymon as hm

SHORT = {"rate": 30.0, "duration_s": 2.0}


@pytest.mark.parametrize(
    ("name", "parameters", "pictures", "pieces"),
    [
        ("start", SHORT, 1, ("simulated", "/report.html", "02_compare.ipynb")),
        ("explore", None, 0, ("(moves only in a notebook)",)),
        ("prometheus_and_alerts", SHORT, 0, ("api_errors_total{", "holymon_run_valid", "0.5",
                                             "would have fired", "gen_ai_client_token_usage")),
        ("schedule", SHORT, 0, ("latest.html", "flock -n", "error_rate&lt;1\\%", "hourly/2",
                                "every hour, at minute 7")),
        ("your_own_requests", SHORT, 1, ("a batch of OpenAI", "48 tokens", "input 0.1", "TTFT of no prompt",
                                         "each token in, ms", "cached against A", "0 of 20 conversations ended early", "02_compare.ipynb")),
        ("words_and_formulas", SHORT, 1, ("GuideLLM", "vLLM bench", "R-8", "order statistics")),
    ],
)  # fmt: skip
def test_a_notebook_runs_from_top_to_bottom(tmp_path, name, parameters, pictures, pieces):
    given = {**parameters, "out": str(tmp_path / "runs")} if parameters else {}
    made = hm.write_report(name, out=tmp_path, parameters=given)
    assert (made.status, made.error) == ("ok", "")
    page = made.html.read_text()
    assert [piece for piece in pieces if piece not in page] == []
    assert page.count('<svg class="picture"') == pictures
