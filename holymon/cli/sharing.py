"""What becomes of a report beside its page: a summary, a PDF, and word to those who follow it."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

import click

from holymon.cli.options import PATH
from holymon.cli.output import say
from holymon.cli.target_options import composed
from holymon.errors import HolymonError, PlanError, RunError
from holymon.formatting import file_name
from holymon.safety import plain

if TYPE_CHECKING:
    from holymon.report.channels import Channel
    from holymon.report.report import Report

SHARING: Final = composed(
    click.option("--summary", "summaries", type=PATH, multiple=True, metavar="FILE.md|FILE.json",
                 help="Write a short summary, as Markdown or JSON; may be given twice."),
    click.option("--pdf", is_flag=True, help="Make a PDF beside the page, where Chromium or Chrome "
                 "is here."),
    click.option("--notify", multiple=True, metavar="KIND=VAR", help="Tell slack, teams, json or "
                 "smtp, whose address is in the environment variable VAR, of changes, failures and "
                 "recoveries. What can't be sent is said, and sent with the next report; the exit "
                 "code stays. smtp: smtp[s]://USER:PASSWORD@HOST:PORT?from=A@B&to=C@D."),
    click.option("--reports-url", metavar="URL", help="Where others find the folder of reports: "
                 "links in summaries and notifications begin with it."),
)  # fmt: skip
OPTIONS: Final = frozenset({"summaries", "pdf", "notify", "reports_url"})


class Outlets(NamedTuple):
    """What was asked for."""

    out: Path
    summaries: tuple[Path, ...]
    pdf: bool
    channels: "tuple[Channel, ...]"
    url: str

    def of(self, made: "Report", *, interrupted: bool = False) -> bool:
        """Share a report; whether a file that was asked for could not be made."""
        failed = False
        if self.pdf and made.status == "ok":
            from holymon.report.pdf import write_pdf

            try:
                say(write_pdf(made.html))
            except RunError as error:
                say(error, err=True)
                failed = True
        about = json.loads((made.folder / "run.json").read_bytes())
        if interrupted:
            about["report"].update(status="killed", error="interrupted")
        return self._tell(about, made.html, made.folder.parent.name) or failed

    def failed(self, name: str, error: str) -> None:
        """Leave a page that says that there is no report, and share that."""
        from holymon.report.unfinished import write_failure

        about = {"report": {"status": "failed", "error": error}}
        try:
            made = write_failure(name, error, out=self.out, secrets=self._secrets)
        except (HolymonError, OSError):  # where nothing can be written the error itself is enough
            self._tell(about, self.out / file_name(name) / "latest.html", file_name(name))
            return
        say(made.html)
        self.of(made)

    def interrupted(self, name: str) -> None:
        """Tell of a report that was ended from outside; where there is no page yet, leave one."""
        error = {"status": "killed", "error": "interrupted"}
        page = self.out / file_name(name) / "latest.html"
        begun = sorted(page.parent.glob("2*Z*"))
        if begun and not (begun[-1] / "report.html").exists():
            self.failed(name, "interrupted")
            return
        self._tell({"report": error}, page, file_name(name))

    @property
    def _secrets(self) -> Any:
        return tuple(secret for channel in self.channels for secret in channel.secrets)

    def _tell(self, about: dict[str, Any], page: Path, name: str) -> bool:
        """Write the summaries and notify; whether a file could not be written."""
        from holymon.records.own_files import write_aside, write_json
        from holymon.report.digest import as_markdown, digest

        if not (self.summaries or self.channels):
            return False
        lost, address, run_id = False, str(page), name
        if page.name == "report.html":
            run_id = f"{name}/{page.parent.name}"
        if self.url:
            relative = page.relative_to(self.out) if page.is_relative_to(self.out) else page
            address = f"{self.url.rstrip('/')}/{quote(relative.as_posix())}"
        summary = digest(about, run_id, address)
        for path in self.summaries:
            try:
                if path.suffix == ".json":
                    write_json(path, summary)
                else:
                    write_aside(path, as_markdown(summary))
            except OSError as error:
                say(f"{plain(str(path))} can't be written: {error.strerror}.", err=True)
                lost = True
        if self.channels:
            from holymon.report.notify import changes_of, notify

            for note in notify(self.out, self.channels, summary, changes_of(about)):
                say(note, err=True)
        return lost


def sharing(
    out: Path, summaries: tuple[Path, ...], pdf: bool, notify: tuple[str, ...],
    reports_url: str | None, *, insecure_http: bool,
) -> Outlets:  # fmt: skip
    """What the options ask for. Raises PlanError, ConfigError before anything is measured."""
    for path in summaries:
        if path.suffix not in {".md", ".json"}:
            raise PlanError(f"--summary {plain(str(path))} ends in neither .md nor .json.")
    if reports_url and not reports_url.startswith(("https://", "http://")):
        raise PlanError("--reports-url has to begin with https:// or http://.")
    known: tuple[Channel, ...] = ()
    if notify:
        from holymon.report.channels import channels

        known = channels(notify, may_be_read=insecure_http)
    return Outlets(out, summaries, pdf, known, reports_url or "")


@contextlib.contextmanager
def followed(shared: Outlets, name: str) -> Iterator[None]:
    """What keeps a report from being made inside leaves a page, and is told; then it goes on."""
    try:
        yield
    except KeyboardInterrupt:
        shared.interrupted(name)
        raise
    except HolymonError as error:
        shared.failed(name, str(error))
        raise
