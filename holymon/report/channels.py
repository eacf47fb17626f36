"""Where notifications go: KIND=VAR, where the variable VAR holds the address, which is a secret.

slack=VAR  teams=VAR  json=VAR     https://...
smtp=VAR                           smtp[s]://USER:PASSWORD@HOST:PORT?from=A&to=B,C[&cc=D]
"""

import asyncio
import contextlib
import json
import math
import os
import smtplib
import threading
import time
from collections.abc import Callable, Iterable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from ipaddress import ip_address
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from holymon.errors import ConfigError, PlanError, RunError
from holymon.protocols.retry_after import retry_after
from holymon.report.notebooks import quiet
from holymon.report.payloads import mail, plain_json, slack, teams
from holymon.safety import Secret, plain, short
from holymon.transport.connector import trusting
from holymon.transport.exceptions import classify, words

LIMIT_S: Final = 20.0
"""For one notification, with all its attempts."""

ONCE_S: Final = 10.0
"""For one attempt."""

WAIT_S: Final = 0.5
"""Before the second attempt; twice as long before each that follows."""

_SHORTEST: Final = 4
"""Of a password that is masked: whatever is shorter is part of any word."""

BODIES: Final = {"slack": slack, "teams": teams, "json": plain_json}
KINDS: Final = (*BODIES, "smtp")


class Channel(NamedTuple):
    """One way to tell: what kind it is, the name of its variable, and the address in it."""

    kind: str
    variable: str
    address: Secret
    may_be_read: bool = False
    """Whether it may go over the net as plain text."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What no text may hold: the address, and the password in it."""
        password = unquote(urlsplit(self.address.reveal()).password or "")
        more = [Secret(password, self.variable)] if len(password) >= _SHORTEST else []
        return (self.address, *more)

    @property
    def key(self) -> str:
        """What it is called, without its secret."""
        return f"{self.kind}={self.variable}"


def split(text: str) -> tuple[str, str]:
    """The kind and the variable of KIND=VAR. Raises PlanError."""
    kind, _, variable = text.partition("=")
    if kind not in KINDS or not variable.isidentifier():
        raise PlanError(
            f"--notify {plain(short(text, 60))!r} is none: write KIND=VAR, where KIND is one of "
            f"{', '.join(KINDS)}, and VAR the name of a variable that holds the address."
        )
    return kind, variable


def channels(texts: Iterable[str], *, may_be_read: bool = False) -> tuple[Channel, ...]:
    """The channels of KIND=VAR, whose variables are taken out of the environment.

    What is started later can't read them there. Raises PlanError, and ConfigError for a variable
    that is not set or holds no address that a notification may go to; never with what it holds.
    """
    pairs = list(dict.fromkeys(map(split, texts)))
    values = {variable: os.environ.get(variable, "") for _, variable in pairs}
    made = [_channel(kind, variable, values[variable], may_be_read) for kind, variable in pairs]
    for variable in values:
        os.environ.pop(variable, None)
    return tuple(made)


def _channel(kind: str, variable: str, value: str, may_be_read: bool) -> Channel:
    if not value:
        raise ConfigError(f"--notify {kind}={variable}: {variable} is not set.")
    channel = Channel(kind, variable, Secret(value, variable), may_be_read)
    with contextlib.suppress(ValueError):
        parts = urlsplit(value)
        if parts.hostname and (parts.port is None or parts.port):
            _check(channel, parts)
            return channel
    raise ConfigError(f"--notify {channel.key}: what {variable} holds is no address.") from None


def _check(channel: Channel, parts: SplitResult) -> None:
    schemes = ("smtp", "smtps") if channel.kind == "smtp" else ("https", "http")
    if parts.scheme not in schemes:
        raise ConfigError(
            f"--notify {channel.key}: the address in {channel.variable} has to begin with "
            f"{schemes[0]}:// or {schemes[1]}://."
        )
    if parts.scheme == "http" and not (channel.may_be_read or _is_local(parts)):
        raise ConfigError(
            f"--notify {channel.key}: it would go to another machine over plain http, where "
            "whoever is on the way can read it: use https, or accept that with --insecure-http."
        )
    if channel.kind == "smtp" and not {"From", "To"} <= _fields(parts).keys():
        raise ConfigError(
            f"--notify {channel.key}: the address in {channel.variable} has to say from whom and "
            "to whom, as in smtp://USER:PASSWORD@HOST:587?from=A@B&to=C@D."
        )


def _is_local(parts: SplitResult) -> bool:
    with contextlib.suppress(ValueError):
        return ip_address(parts.hostname or "").is_loopback
    return parts.hostname == "localhost"


def _fields(parts: SplitResult) -> dict[str, str]:
    """From, To and Cc of a mail; what is more than one line is no address."""
    query = parse_qs(parts.query)
    known = {name.title(): ", ".join(query[name]) for name in ("from", "to", "cc") if name in query}
    return {name: value for name, value in known.items() if value.isprintable()}


def send(channel: Channel, summary: dict[str, Any], event: str) -> None:
    """Send one notification within LIMIT_S. Raises RunError, which does not hold the address."""
    try:
        with quiet():  # httpx logs every address
            if channel.kind == "smtp":
                message = mail(summary, event, _fields(urlsplit(channel.address.reveal())))
                _within(lambda: _mail(channel, message))
            else:
                body = json.dumps(BODIES[channel.kind](summary, event)).encode()
                asyncio.run(_post(channel, body))
    except TimeoutError:
        reason = f"no answer within {LIMIT_S:g} s"
    except _RefusedError as error:
        reason = short(str(error), 200, channel.secrets)
    except Exception as error:  # noqa: BLE001 - whatever a library says may hold the address
        reason = type(error).__name__
    else:
        return
    raise RunError(f"the notification to {channel.key} was not sent: {reason}.")


class _RefusedError(Exception):
    """An answer that says no, and will say so again."""


def _unanswered(error: Exception) -> str:
    """Why no answer came. Raises _RefusedError where TLS says why, which it will say again."""
    if classify(error) == "tls_error":
        raise _RefusedError(f"{words(error)}. SSL_CERT_FILE names the certificates to trust")
    return f"no answer ({type(error).__name__})"


async def _post(channel: Channel, body: bytes) -> None:
    """Post until it is taken.

    Asked again is after 429 and 5xx, as late as Retry-After says (Slack gives it in seconds:
    docs.slack.dev/apis/web-api/rate-limits; Teams asks for a wait that doubles:
    learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit), and where no answer came.
    No redirection is followed: an address is a secret, and goes nowhere else.
    """
    import httpx

    until, wait, reason = time.monotonic() + LIMIT_S, WAIT_S, ""
    # What stays on this machine goes through no proxy on another.
    far = not _is_local(urlsplit(channel.address.reveal()))
    try:
        client = httpx.AsyncClient(timeout=ONCE_S, trust_env=far, verify=trusting())
        async with asyncio.timeout(LIMIT_S), client as to:
            while True:
                wish = math.nan
                try:
                    reason, wish = await _refusal(to, channel, body)
                except httpx.TransportError as error:
                    reason = _unanswered(error)
                if not reason:
                    return
                pause = wait if math.isnan(wish) else max(wish, wait)
                wait *= 2
                if time.monotonic() + pause > until:
                    raise _RefusedError(reason)
                await asyncio.sleep(pause)
    except TimeoutError:
        if reason:  # what was answered before says more than that there was no answer at last
            raise _RefusedError(reason) from None
        raise


async def _refusal(client: Any, channel: Channel, body: bytes) -> tuple[str, float]:
    """Why it was not taken, "" if it was; in how many seconds to ask again, NaN if nobody said so.

    Raises _RefusedError for what will not be taken at all.
    """
    head = {"content-type": "application/json"}
    async with client.stream(
        "POST", channel.address.reveal(), content=body, headers=head
    ) as answer:
        if answer.is_success:
            return "", math.nan
        start = (await anext(answer.aiter_raw(80), b"")).decode("utf-8", "replace")
        page = answer.headers.get("content-type", "").startswith("text/html")
        reason = f"HTTP {answer.status_code} {'' if page else start}".strip()
        if answer.status_code != 429 and answer.status_code < 500:
            raise _RefusedError(reason)
        given = answer.headers
        return reason, retry_after(given.get("retry-after", ""), given.get("date", ""))


def _within(work: Callable[[], None]) -> None:
    """Do it in a thread that nobody waits for longer than LIMIT_S. Raises TimeoutError."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            faults.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    if thread.is_alive():
        raise TimeoutError
    for fault in faults:
        raise fault


def _mail(channel: Channel, message: EmailMessage) -> None:
    """Send a mail; again where the server is busy (4xx, RFC 5321) or no answer came."""
    parts = urlsplit(channel.address.reveal())
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=message["From"].rpartition("@")[2].strip("> "))
    until, wait = time.monotonic() + LIMIT_S, WAIT_S
    while True:
        try:
            with _connected(channel, parts) as server:
                server.send_message(message)
                return
        except smtplib.SMTPResponseException as error:
            reason = f"SMTP {error.smtp_code} {error.smtp_error!r}"
            if error.smtp_code >= 500:
                raise _RefusedError(reason) from None
        except smtplib.SMTPRecipientsRefused as error:
            (code, reply), *_ = error.recipients.values()
            reason = f"SMTP {code} {reply!r}"
            if code >= 500:
                raise _RefusedError(reason) from None
        except (OSError, smtplib.SMTPServerDisconnected) as error:
            reason = _unanswered(error)
        if time.monotonic() + wait > until:
            raise _RefusedError(reason)
        time.sleep(wait)
        wait *= 2


def _connected(channel: Channel, parts: SplitResult) -> smtplib.SMTP:
    """A session in which nobody on the way reads along, and that knows who we are."""
    context, host = trusting(), parts.hostname or ""
    server: smtplib.SMTP
    if parts.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, parts.port or 465, timeout=ONCE_S, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or 587, timeout=ONCE_S)
    try:
        server.ehlo()
        if parts.scheme == "smtp":
            # Nobody reads along on this machine, whose certificate is often one of its own.
            if server.has_extn("starttls") and not _is_local(parts):
                server.starttls(context=context)
                server.ehlo()
            elif not (channel.may_be_read or _is_local(parts)):
                raise _RefusedError("the server has no STARTTLS, and --insecure-http was not given")
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except BaseException:
        server.close()
        raise
    return server
