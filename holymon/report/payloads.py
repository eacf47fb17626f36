"""A summary as the bodies that Slack, Teams and others take, and as a mail; pure.

Slack: an incoming webhook takes `text` (what a notification shows) and `blocks`, at most 50, a
section's text of 3,000 characters and a header's of 150. In all texts & < > are written as
entities, or `<!channel>` would call everybody; `plain_text` knows no other markup, and `emoji` is
off. (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
docs.slack.dev/messaging/formatting-message-text,
docs.slack.dev/reference/block-kit/composition-objects/text-object)

Teams: the Workflows trigger "When a Teams webhook request is received" takes a message with an
Adaptive Card; connectors and their message cards are retired. Cards of version 1.4 are shown
everywhere; a TextRun knows no Markdown. At most 28 kB, counted as Teams keeps it: 24.4 kB sent were
28.9 kB there, so it gets MOST_BYTES.
(learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using,
learn.microsoft.com/adaptive-cards/schema-explorer/text-run,
github.com/MicrosoftDocs/msteams-docs/issues/11274, github.com/prometheus/alertmanager/issues/3920)
"""

import html
import json
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Final

from holymon.language.said import shown, tell, vocabulary
from holymon.report.digest import (
    as_html,
    as_text,
    figure_lines,
    heading,
    is_address,
    sentences,
)

MOST_OF_SECTION: Final = 2900
MOST_OF_HEADER: Final = 140
MOST_BYTES: Final = 15_000
EVENTS: Final = vocabulary("change", "failure", "recovery", "still so")


def slack(summary: dict[str, Any], event: str) -> dict[str, Any]:
    """The body for a Slack incoming webhook."""
    title = f"{heading(summary)} ({shown(EVENTS[event])})"
    first, *more = sentences(summary)
    texts = ["\n".join([first, *more]), "\n".join(figure_lines(summary))]
    page = summary["report"]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(title, MOST_OF_HEADER)},
        *({"type": "section", "text": _plain(text, MOST_OF_SECTION)} for text in texts if text),
    ]
    if is_address(page):
        link = f"<{_entities(page, MOST_OF_SECTION)}|{tell('The report')}>"
        text = {"type": "mrkdwn", "text": link, "verbatim": True}
    else:
        text = _plain(page, MOST_OF_SECTION)
    return {
        "text": _entities(f"{title}: {first}", MOST_OF_SECTION),
        "blocks": [*blocks, {"type": "section", "text": text}],
    }


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _entities(text, most), "emoji": False}


def _entities(text: str, most: int) -> str:
    """The text with its three control characters as entities, cut so that none is halved."""
    escaped = [html.escape(char, quote=False) for char in text]
    if sum(map(len, escaped)) <= most:
        return "".join(escaped)
    kept, size = [], 1
    for piece in escaped:
        size += len(piece)
        if size > most:
            break
        kept.append(piece)
    return "".join(kept) + "…"


def teams(summary: dict[str, Any], event: str) -> dict[str, Any]:
    """The body for a Teams workflow that posts what a webhook is sent."""
    title = f"{heading(summary)} ({shown(EVENTS[event])})"
    page, lines = summary["report"], [*sentences(summary), *figure_lines(summary)]
    more = [] if is_address(page) else [page]
    while lines:
        body = [_run(title, weight="Bolder", size="Medium"), *map(_run, [*lines, *more])]
        action = {"type": "Action.OpenUrl", "title": tell("The report"), "url": page}
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard", "version": "1.4", "body": body,
            "actions": [action] * is_address(page), "msteams": {"width": "Full"},
        }  # fmt: skip
        kind = "application/vnd.microsoft.card.adaptive"
        message = {
            "type": "message",
            "attachments": [{"contentType": kind, "contentUrl": None, "content": card}],
        }
        if len(json.dumps(message)) <= MOST_BYTES:
            break
        lines, more = (
            lines[:-1],
            [tell("and more: see the report"), *([] if is_address(page) else [page])],
        )
    return message


def _run(text: str, **looks: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **looks}]}


def plain_json(summary: dict[str, Any], event: str) -> dict[str, Any]:
    """The summary itself, with what happened: `change`, `failure`, `recovery`, or `still so`."""
    return {"event": event, **summary}


def mail(summary: dict[str, Any], event: str, fields: dict[str, str]) -> EmailMessage:
    """A mail in plain text and HTML; `fields` are its From, To and Cc.

    Marked as made by a program (RFC 3834), so that no absent person answers it.
    """
    message = EmailMessage(policy=SMTP)
    message["Subject"] = f"holymon: {heading(summary)} ({shown(EVENTS[event])})"[:200]
    for name, value in fields.items():
        message[name] = value
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(as_text(summary))
    message.add_alternative(str(as_html(summary)), subtype="html")
    return message
