"""What axe-core has to say of pages: violations by rule, the serious ones first.

    cd /tmp && npm pack axe-core && tar xzf axe-core-*.tgz
    python -m tests.bench.axe /tmp/package/axe.min.js reports/index.html reports/NAME/latest.html

Each page is looked at as wide as a laptop and as a phone, with all that is folded opened.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

LEVELS = ("critical", "serious", "moderate", "minor")


def main(axe: str, *pages: str) -> int:
    program, serious = Path(axe).read_text(), 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for path in pages:
            for width in (1100, 390):
                # Pages forbid every script; this one comes from outside.
                context = browser.new_context(
                    bypass_csp=True, offline=True, viewport={"width": width, "height": 900}
                )
                page = context.new_page()
                page.goto(Path(path).resolve().as_uri())
                page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                page.evaluate(program)
                result = page.evaluate("axe.run()")
                print(f"{path} at {width} px: {len(result['passes'])} rules hold")
                for found in sorted(result["violations"], key=lambda v: LEVELS.index(v["impact"])):
                    serious += found["impact"] in LEVELS[:2]
                    nodes = found["nodes"]
                    print(f"  {found['impact']}: {found['help']}, {len(nodes)} times; "
                          f"{nodes[0]['html'][:120]}")  # fmt: skip
                context.close()
        browser.close()
    return int(serious > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
