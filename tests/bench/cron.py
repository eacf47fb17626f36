"""Does the line of `holymon schedule` run under Debian's own cron? Root's crontab is put back.

`python -m tests.bench.cron`: two reports every minute, of which one takes longer than that.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOLYMON = Path(sys.executable).with_name("holymon")
MINUTES = 3.4


def main() -> None:
    before = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False)
    daemon = subprocess.Popen([shutil.which("cron") or "cron", "-f"])
    try:
        with tempfile.TemporaryDirectory(prefix="holymon cron ") as folder:
            judge(Path(folder))
    finally:
        if before.returncode == 0:
            subprocess.run(["crontab", "-"], input=before.stdout, text=True, check=True)
        else:
            subprocess.run(["crontab", "-r"], check=False)
        daemon.terminate()
        daemon.wait(10)


def judge(folder: Path) -> None:
    quick = ("sim/fast", "--name", "quick", "--rate", "5", "--duration", "4")
    slow = ("sim/fast", "--name", "slow", "--rate", "2", "--duration", "70")
    for words, limit in ((quick, "50s"), (slow, "2m")):
        subprocess.run([HOLYMON, "schedule", "--install", "--every", "1m", "--limit", limit, "--",
                        *words], cwd=folder, check=True)  # fmt: skip
    time.sleep(MINUTES * 60)
    subprocess.run(["crontab", "-r"], check=True)
    time.sleep(100)
    for name in ("quick", "slow"):
        runs = sorted(path.name for path in (folder / "reports" / name).glob("2*"))
        pages = len([*(folder / "reports" / name).glob("2*/report.html")])
        print(f"{name}: {len(runs)} runs, {pages} reports: {', '.join(runs)}")
    print((folder / "holymon.log").read_text())


if __name__ == "__main__":
    main()
