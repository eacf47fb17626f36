"""What axe-core has to say of pages: violations by rule, the serious ones first.

    cd /tmp && npm pack axe-core && tar xzf axe-core-*.tgz
    for lang in en vi; do out="--out /tmp/axe-$lang --lang $lang"
    holymon report sim/fast sim/slow sim/flaky --duration 10 --slo 'error_rate<1%' --name n $out
    holymon report report_compare --run n $out; holymon report report_trend $out
    holymon report report_capacity $out; holymon report report_migrate -p run n $out
    holymon report report_move -p route route.json $out; done  # of a router, as in 10_move
    python -m tests.bench.axe /tmp/package/axe.min.js /tmp/axe-en /tmp/axe-vi

Of a folder of reports these are its index and each latest page, so one of each kind. A page is
looked at as wide as a laptop and as a phone, with all that is folded opened; then it is walked
through with the Tab key: what has the focus must be seen to have it.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

LEVELS = ("critical", "serious", "moderate", "minor")
UNSEEN = """() => { const at = document.activeElement, style = getComputedStyle(at);
    return at === document.body ? "" : style.outlineStyle !== "none" && style.outlineWidth !== "0px"
        ? " " : at.outerHTML.slice(0, 120); }"""


def pages_of(path: Path) -> list[Path]:
    """A page, or those of a folder of reports."""
    return [path] if path.is_file() else [path / "index.html", *sorted(path.glob("*/latest.html"))]


def unseen(page: Page) -> list[str]:
    """What gets the focus by Tab, and does not show it."""
    found = []
    for _ in range(200):
        page.keyboard.press("Tab")
        shown = page.evaluate(UNSEEN)
        if not shown:
            break
        found.append(shown.strip())
    return [html for html in found if html]


def main(axe: str, *pages: str) -> int:
    program, serious = Path(axe).read_text(), 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for path in [page for name in pages for page in pages_of(Path(name))]:
            for width in (1100, 390):
                # Pages forbid every script; this one comes from outside.
                context = browser.new_context(
                    bypass_csp=True, offline=True, viewport={"width": width, "height": 900}
                )
                page = context.new_page()
                page.goto(path.resolve().as_uri())
                page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                page.evaluate(program)
                result = page.evaluate("axe.run()")
                print(f"{path} at {width} px: {len(result['passes'])} rules hold")
                for found in sorted(result["violations"], key=lambda v: LEVELS.index(v["impact"])):
                    serious += found["impact"] in LEVELS[:2]
                    nodes = found["nodes"]
                    print(f"  {found['impact']}: {found['help']}, {len(nodes)} times; "
                          f"{nodes[0]['html'][:120]}")  # fmt: skip
                for html in unseen(page):
                    serious += 1
                    print(f"  serious: no focus is seen on {html}")
                context.close()
        browser.close()
    return int(serious > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
