"""Every panel of the Grafana dashboard asks Prometheus something that has an answer.

Grafana's server can't be installed where these tests run; the dashboard is made by Grafana's own
builders, and its queries are run by the real Prometheus.
"""

import importlib.util
import json
import math
from pathlib import Path

import pytest

from holymon.load.run import start
from holymon.plan.plan import Open, Plan, Prompts
from holymon.plan.price import Price
from holymon.plan.shapes import constant
from holymon.prometheus.exporter import expose

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "holymon" / "cli" / "start" / "grafana" / "dashboards" / "holymon.json"


def panels(board):
    for panel in board["panels"]:
        yield from panel.get("panels", []) if panel["type"] == "row" else [panel]


@pytest.fixture(scope="module")
def board():
    return json.loads(SHIPPED.read_text())


def test_the_dashboard_is_what_its_builder_makes():
    spec = importlib.util.spec_from_file_location(
        "make_dashboard", ROOT / "tests" / "make_dashboard.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert SHIPPED.read_text() == module.make(), "run tests/make_dashboard.py"


def test_panels_do_not_overlap_and_have_names_units_and_words(board):
    found = list(panels(board))
    assert len(found) >= 20
    assert len({panel["title"] for panel in found}) == len(found)
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    for panel in found:
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["description"]
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_every_query_of_every_panel_returns_data(
    board, prometheus, simulator, quick_settings, tmp_path
):
    target = simulator.target("flaky", stall_s=1.0, price=Price(input=1.0, output=2.0))
    plan = Plan(
        targets=(target,), load=Open(constant(40)), prompts=Prompts(max_tokens=8), duration_s=30
    )
    with expose(tmp_path / "runs", port=0) as served:
        server = prometheus((quick_settings(served.url) / "prometheus.yml").read_text())
        run = start(plan, out=tmp_path / "runs", detached=False)
        server.until("sum(increase(api_requests_total[10s])) > 100 and sum(api_errors_total) > 10")
        queries = [(panel["title"], t["expr"]) for panel in panels(board) for t in panel["targets"]]
        silent = []
        for title, expr in queries:
            asked = (
                expr.replace("$__rate_interval", "10s")
                .replace("$provider", ".*")
                .replace("$model", ".*")
            )
            assert "$" not in asked
            found = server.query(asked)
            if not any(math.isfinite(float(one["value"][1])) for one in found):
                silent.append((title, asked))
        run.stop()
        run.wait(timeout=60)
    assert silent == []
    assert len(queries) >= 30
