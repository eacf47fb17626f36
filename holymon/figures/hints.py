"""What may mend a failure: one sentence by its type, the server's words and the target. Pure.

hint("tls_error", "... certificate verify failed ...", target) -> "its certificate is not ..."
failures(summary of a target, target) -> "12 rate_limited: slow down" ...
"""

import re
from typing import Final
from urllib.parse import urlsplit

from holymon.errors import ERRORS, NOT_THE_SERVER
from holymon.figures.summary_types import TargetSummary
from holymon.formatting import DASH
from holymon.language.said import Digits, glued, listed, say, without_stop
from holymon.plan.target import Target
from holymon.safety import short

SHOWN: Final = 200
"""Characters of a server's words that a line shows."""

_VERSION: Final = re.compile(r"/(?:v\d[\w.]*|openai|compatible-mode)(?:/|$)")
_WALL: Final = re.compile(
    r"(?i)just a moment|attention required|checking your browser|verify (?:that )?you are|captcha"
    r"|cookies to continue|restrict access|security checkpoint|incapsula|imperva|sucuri|ddos-guard"
    r"|access (?:to this \w+ )?(?:is |was |has been )?(?:denied|forbidden)|\bblocked\b|\bwaf\b"
    r"|web application firewall|request(?:ed url)? was rejected|support id|reference #\d|edgesuite"
    r"|安全|拦截|验证"
)
_PROXY: Final = re.compile(
    r"(?i)squid|the following error was encountered|zscaler|fortinet|fortigate|blue ?coat"
    r"|web page blocked|proxy (?:error|authentication)|cache administrator|tinyproxy|privoxy"
)
_PLAIN_TO_TLS: Final = re.compile(
    r"(?i)plain http request was sent to https|http request to an https"
    r"|speaking plain http to an ssl|came is tls"
    r"|requires tls|use https|https is required|tls required"
)
_TLS_TO_PLAIN: Final = re.compile(
    r"(?i)wrong_?[ ]?version_?[ ]?number|record layer failure|http_request|unknown_?[ ]?protocol"
    r"|packet_?[ ]?length_?[ ]?too_?[ ]?long|unexpected message|invalid_?[ ]?(?:http|alert)"
)
_TRUST: Final = re.compile(
    r"(?i)self[- ]signed|unable to get (?:local )?issuer|unknown ca|unable to verify"
)
_NAME: Final = re.compile(r"(?i)hostname mismatch|ip address mismatch|doesn't match|not valid for")
_DATE: Final = re.compile(r"(?i)has expired|not yet valid")
_STREAM: Final = re.compile(
    r"(?i)\bstream(?:ing|ed)?\b.{0,60}(?:not|n't|un)\W?\s?(?:be |yet )?"
    r"(?:support|allow|availab|enabl|implement)"
    r"|(?:not|n't|un)\W?\s?(?:support|allow|implement).{0,52}\bstream|'stream'|--no-stream"
)
_MODEL: Final = re.compile(r"(?i)\bmodels?\b|\bdeployment\b|模型|モデル|모델")
_NO_MODEL: Final = re.compile(
    r"(?i)\b(?:invalid|unknown|unsupported|no such|incorrect|wrong|unrecogni[sz]ed) model\b"
    r"|\bmodels?(?:'s)?\b\W++(?:\S{1,80}+\s++){0,5}?(?:not (?:be )?(?:found|exist\w*|available"
    r"|valid|loaded|supported|recogni[sz]ed|accessible)|n't exist|unknown|is invalid|no longer"
    r"|decommissioned|deprecated|retired)|no available channels? for model|pinned to"
    r"|模型不存在|未找到模型|模型名称|无可用渠道"
)
_REFUSED: Final = frozenset({"bad_request", "permission", "http_4xx", "unavailable"})
_LOGIN: Final = re.compile(r"(?i)log-?in|sign-?in|sso|oauth|auth\b|captcha|portal|consent")


def hint(error: str, words: str, target: Target, *, answered: bool = False) -> str:
    """What to look at, without a full stop; `""` where nothing is known.

    `answered` is whether another call got its answer: then the address is right.
    """
    if error in _HUNG_UP and _KEPT in words:  # those words are ours: no answer came
        return say(
            "the server closes connections that it said it keeps open: what is sent just then may "
            "not reach it, from any client that keeps them"
        )
    silent = error in _HUNG_UP and _BEGUN not in words
    if not answered and silent and target.base_url.startswith("http://"):
        return say("if that port speaks TLS, write {url}", url=_as("https", target.base_url))
    for rule in (_of_the_way, _of_the_request):
        if text := rule(error, words, target):
            return text
    mend = _USUAL.get(error, "")
    if error == "quota_exhausted" and not target.api_key_env:
        return say("no credit is left")
    key = target.api_key_env or say("no variable: none was named")
    return say(mend, key=key, url=target.base_url or say("the simulator"))


_KEPT: Final = "on a connection that it had kept open"
_BEGUN: Final = "without sending the complete body"
_HUNG_UP: Final = frozenset({"server_disconnected", "connection_reset"})
_USUAL: Final = {
    "authentication": say("check the key in {key}"),
    "permission": say(
        "this key may not use that model: ask for access, or take another key ({key})"
    ),
    "quota_exhausted": say("no credit is left for the key in {key}"),
    "dns_failure": say("check the host name in {url}"),
    "connection_refused": say("see whether a server runs at {url}"),
    "connect_timeout": say("see whether {url} can be reached from here (firewall, proxy, VPN)"),
    "tls_error": say("check https and the certificate of {url}"),
    "proxy_error": say(
        "the proxy that HTTP_PROXY or HTTPS_PROXY names is down or refuses: mend or "
        "unset it, or add the host of {url} to NO_PROXY"
    ),
    "rate_limited": say("the API takes no more calls now: lower --rate or --concurrency"),
}


def _of_the_way(error: str, words: str, target: Target) -> str:
    """What lies between here and the API: redirections, TLS, walls and proxies."""
    if words.startswith("redirected to "):
        return _redirected(words.removeprefix("redirected to "), target)
    if error == "tls_error":
        return _of_tls(words, target.base_url)
    if error == "connect_timeout" and "greeting of TLS" in words:
        return say("if that port does not speak TLS, write {url}", url=_as("http", target.base_url))
    plain = target.base_url.startswith("http://")
    if plain and _PLAIN_TO_TLS.search(words):
        return say("that port speaks TLS: write {url}", url=_as("https", target.base_url))
    if "407" in words[:20] or (error == "http_4xx" and re.search(r"(?i)proxy auth", words)):
        return say(
            "the proxy wants a name and a password: HTTP_PROXY=http://NAME:PASSWORD@HOST:PORT"
        )
    page = words.startswith("a page of HTML") or error == "unexpected_content_type"
    if page and _PROXY.search(words):
        return say("a proxy in between wrote that, not the API: see HTTP_PROXY and NO_PROXY")
    if page and (_WALL.search(words) or error in {"authentication", "permission"}):
        return say(
            "a wall or proxy in between wrote that page, not the API, so it says nothing of the "
            "key: ask who runs it to let this machine through"
        )
    return ""


def _of_the_request(error: str, words: str, target: Target) -> str:
    """What of the request may be wrong: its path, its model, streaming."""
    if _STREAM.search(words) and error not in {"rate_limited", "authentication"}:
        return "" if "--no-stream" in words else say("measure whole answers with --no-stream")
    if error in {"not_found", "unexpected_content_type", "http_4xx"} and not has_version(target):
        both = say("the model's name and ") if error == "not_found" else ""
        dialect: str = say(", or not speak {endpoint}", endpoint=target.endpoint)
        dialect *= target.endpoint != "chat"
        return say(
            "check {both}the base_url ({base_url}): it may need /v1 at its end{dialect}",
            both=both,
            base_url=target.base_url,
            dialect=dialect,
        )
    if error == "not_found" or (error in _REFUSED and _NO_MODEL.search(words)):
        if _MODEL.search(words) or error != "not_found":
            return say("check the model's name, {model}", model=f"{short(target.model, 80)!r}")
        if target.endpoint == "chat":
            return say(
                "check the model's name and the base_url ({base_url})", base_url=target.base_url
            )
        return say(
            "check the model's name, the base_url ({base_url}) and the endpoint in "
            "targets.toml: that server may not speak {endpoint}",
            base_url=target.base_url,
            endpoint=target.endpoint,
        )
    return ""


def has_version(target: Target) -> bool:
    """Whether an address names a version of an API, as in /v1, or is none of ours to doubt."""
    return not target.base_url or bool(_VERSION.search(urlsplit(target.base_url).path + "/"))


def _redirected(place: str, target: Target) -> str:
    here, there = urlsplit(target.base_url), urlsplit(place)
    if _LOGIN.search(place):
        return say(
            "that looks like a page to log in at, of a wall or proxy in between, not of the API"
        )
    if there.scheme == "https" and here.scheme == "http" and there.hostname == here.hostname:
        return say("write {url}", url=_as("https", target.base_url))
    return say(
        "redirections are not followed: make that address the base_url, without its last path"
    )


def _of_tls(words: str, url: str) -> str:
    if _TLS_TO_PLAIN.search(words):
        return say("that port does not speak TLS: write {url}", url=_as("http", url))
    if _DATE.search(words):
        return say(
            "the certificate of {url} is not valid now: renew it, or set this machine's clock",
            url=url,
        )
    if _NAME.search(words):
        return say(
            "the certificate is not for the host in {url}: write the name that stands in it",
            url=url,
        )
    if _TRUST.search(words) or "verify failed" in words.lower():
        return say(
            "nobody here trusts who signed its certificate: name the file with your CA's "
            "certificate in SSL_CERT_FILE, or as the target's ca_file in targets.toml"
        )
    return ""


def _as(scheme: str, url: str) -> str:
    return f"{scheme}://{url.partition('://')[2]}"


def failures(summary: TargetSummary, target: Target) -> list[str]:
    """A line for each error type: how often, its first words, and what may mend it."""
    words, answered = summary.messages, summary.ok > 0
    clauses = [
        clause(name, words.get(name, ""), target, answered=answered) for name in summary.errors
    ]
    if not answered:  # the reason why nothing succeeded has it
        clauses[:1] = [""] * len(clauses[:1])
    return [
        glued(Digits(f"{n:,}"), " ", name, text)
        for (name, n), text in zip(summary.errors.items(), clauses, strict=True)
    ]


def clause(error: str, words: str, target: Target, *, answered: bool) -> str:
    """The first words of an error type and the hint, as they follow its name."""
    parts = [short(words, SHOWN), hint(error, words, target, answered=answered)]
    text = listed(f" {DASH} ", filter(None, parts))
    return glued(": ", text) if text else ""


def why(summary: TargetSummary, target: Target) -> str:
    """Of what calls failed most often, as a clause; `""` if there were none."""
    errors = [name for name in summary.errors if name not in NOT_THE_SERVER]
    if not errors:
        return ""
    error, *others = errors
    words = clause(error, summary.messages.get(error, ""), target, answered=summary.ok > 0)
    about = {"error": error, "meaning": ERRORS[error].meaning, "words": without_stop(words)}
    if others:
        return say("most failed with {error} ({meaning}){words}", **about)
    return say("all failed with {error} ({meaning}){words}", **about)
