"""Do scrapes disturb calls? A monitor calls the simulator while nobody, or a thousand a second, scrape.

    python tests/bench/scrapes.py

Prints the TTFT of both, alternately measured: the difference of p99 is what scraping costs.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import numpy as np

from holymon.monitor.monitor import Monitor
from holymon.plan.plan import Target
from holymon.prometheus.exporter import expose

ROUNDS, SECONDS, RATE = 3, 8.0, 1000.0


def calls(monitor: Monitor) -> list[float]:
    """TTFT (s) of calls one after another for a while."""
    before, until = len(monitor.records), time.monotonic() + SECONDS
    while time.monotonic() < until:
        list(monitor.chat("hello", stream=True, max_tokens=2))
    rows = monitor.records.rows[before:]
    return (rows["first_s"] - rows["start_s"]).tolist()


SCRAPER = """
import http.client, sys, time
host, port, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
n, begun = 0, time.monotonic()
while True:
    n += 1
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/metrics"); connection.getresponse().read()
    except OSError:
        pass
    connection.close()
    if n % 100 == 0:
        print(n / (time.monotonic() - begun), flush=True)
    time.sleep(max(0.0, begun + n / rate - time.monotonic()))
"""


def main() -> None:
    """Measure and print."""
    sim = subprocess.Popen(
        [sys.executable, "-m", "holymon.sim", "--port", "0", "--until-eof"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    base_url = json.loads(sim.stdout.readline())["base_url"]
    found = {"nobody": [], "slow": [], f"{RATE:g}/s": []}
    monitor = Monitor(Target(provider="url", model="pinned", base_url=base_url))
    with expose(monitor, port=0) as served:
        parts = urlsplit(served.url)
        list(monitor.chat("hello", stream=True, max_tokens=2))
        for _ in range(ROUNDS):
            found["nobody"] += calls(monitor)
            found["slow"] += with_slow(monitor, parts)
            scraper = subprocess.Popen(
                [sys.executable, "-c", SCRAPER, parts.hostname, str(parts.port), str(RATE)],
                stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            rates: list[str] = []
            reader = threading.Thread(target=lambda p=scraper, r=rates: r.extend(p.stdout))
            reader.start()
            found[f"{RATE:g}/s"] += calls(monitor)
            scraper.terminate()
            scraper.wait()
            reader.join()
            print(f"scrapes/s tried: {float(rates[-1]):.0f}" if rates else "no scrape", flush=True)
    monitor.close()
    sim.stdin.close()
    sim.wait(20)
    for name, ttft in found.items():
        p50, p95, p99 = 1e3 * np.quantile(ttft, [0.5, 0.95, 0.99], method="median_unbiased")
        print(f"{name:>8}: n={len(ttft)} TTFT p50 {p50:.2f} p95 {p95:.2f} p99 {p99:.2f} ms")


def with_slow(monitor: Monitor, parts) -> list[float]:
    """Calls while eight scrapers hold their connections and read nothing."""
    held = [http.client.HTTPConnection(parts.hostname, parts.port) for _ in range(8)]
    for one in held:
        one.connect()
        one.sock.sendall(b"GET /metrics HTTP/1.1\r\n")
    found = calls(monitor)
    for one in held:
        one.close()
    return found


if __name__ == "__main__":
    main()
