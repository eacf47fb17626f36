"""From an API that goes bad to somebody who is told: every process of the way is the real one."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from holymon.load.run import start
from holymon.plan.plan import Open, Plan, Prompts
from holymon.plan.shapes import constant

OBJECTIVES = ("error_rate<1%", "ttft_p95<2s")


@pytest.fixture
def told():
    """A webhook, and what Alertmanager has told it."""
    found, arrived = [], threading.Condition()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with arrived:
                found.extend(body["alerts"])
                arrived.notify_all()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def wait(name, seconds=90):
        with arrived:
            assert arrived.wait_for(
                lambda: any(a["labels"]["alertname"] == name for a in found), seconds
            ), found
            return next(a for a in found if a["labels"]["alertname"] == name)

    wait.url, wait.found = f"http://127.0.0.1:{server.server_port}/hook", found
    yield wait
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def exporter(tmp_path):
    """`holymon metrics` as a user starts it."""
    slo = [word for text in OBJECTIVES for word in ("--slo", text)]
    process = subprocess.Popen(
        [sys.executable, "-m", "holymon", "metrics", "--port", "0", "--out", tmp_path / "runs", *slo],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process.stdout.readline().strip()
    process.terminate()
    assert process.wait(30) == 0, "ending an exporter is no failure"
    process.stdout.close()


def test_an_api_that_goes_bad_wakes_somebody(
    prometheus, alertmanager, simulator, exporter, told, quick_settings, tmp_path
):
    folder = quick_settings(exporter, slo=OBJECTIVES, webhook=told.url)
    hub = alertmanager((folder / "alertmanager.yml").read_text())
    settings = (folder / "prometheus.yml").read_text()
    server = prometheus(settings.replace("127.0.0.1:9093", hub.url.removeprefix("http://")))
    plan = Plan(
        targets=(simulator.target(),),
        load=Open(constant(20)),
        prompts=Prompts(max_tokens=4),
        duration_s=120,
    )
    run = start(plan, out=tmp_path / "runs", detached=False)
    server.until("sum(increase(api_requests_total[1m])) > 60")
    assert (
        server.query('ALERTS{alertname=~"ErrorBudget.*|TTFT.*|ExporterDown", alertstate="firing"}')
        == []
    )
    server.until("sum(provider_model:api_errors:ratio_rate5m) == 0")
    assert [one for one in told.found if one["labels"]["severity"] == "page"] == []

    simulator.process.stdin.close()  # the API goes away in the midst of the load
    simulator.process.wait(20)
    alert = told("ErrorBudgetFastBurn")
    run.stop()
    run.wait(timeout=60)
    assert alert["status"] == "firing"
    assert alert["labels"] | {"provider": "url", "model": "fast", "severity": "page",
                              "objective": "error_rate<1%"} == alert["labels"]  # fmt: skip
    assert alert["annotations"]["summary"].startswith("url/fast: over 14.4 % of the calls failed")
    assert run.records.errors(~run.records.ok)["connection_refused"] > 10
