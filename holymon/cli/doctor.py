"""Looks at everything a measurement needs, and says how to mend what is missing."""

import asyncio
import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from holymon.cli.consent import agreed, over_http
from holymon.cli.target_options import moved
from holymon.errors import ConfigError, HolymonError
from holymon.figures.hints import has_version, hint
from holymon.formatting import number_of
from holymon.load.first_call import TOKENS, FirstCalls
from holymon.load.requests import key_of, prepared_of, secrets_of
from holymon.plan import targets
from holymon.plan.plan import Closed, Plan
from holymon.plan.prompts import Prompts
from holymon.plan.target import Target
from holymon.protocols.dialects import DIALECTS
from holymon.protocols.lenient import parsed
from holymon.protocols.reading import Reading
from holymon.records.attempt import Marks
from holymon.report.pdf import browser
from holymon.safety import Secret, redact, short
from holymon.transport.exceptions import TooLarge, classify, words
from holymon.transport.pool import Transport
from holymon.transport.prepared_request import Prepared
from holymon.transport.response import Response

State = Literal["good", "note", "bad"]
_MARK: Final = {"good": "ok  ", "note": "--  ", "bad": "BAD "}
_PACKAGES: Final = (
    "aiohttp", "duckdb", "httptools", "httpx", "ipykernel", "ipywidgets", "jupyterlab",
    "matplotlib", "msgspec", "nbconvert", "numpy", "pandas", "papermill",
)  # fmt: skip
MODELS_SHOWN: Final = 20
PATIENCE_S: Final = 10.0
ANY: Final = "any"
"""The model of a provider that is named without one."""

MOST_OF_A_PAGE: Final = 2**23


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `good`, `note` (not needed for now) or `bad`, and the mend."""

    what: str
    state: State
    result: str
    mend: str = ""

    def text(self) -> str:
        """One line, and a second with the mend."""
        line = f"{_MARK[self.state]}{self.what}: {self.result}"
        return f"{line}\n      -> {self.mend}" if self.mend else line

    def to_dict(self) -> dict[str, str]:
        """The finding as JSON has it: `what`, `state`, `found`, `mend`."""
        return {"what": self.what, "state": self.state, "found": self.result, "mend": self.mend}


def examine(
    names: tuple[str, ...] = (), *, base_url: str | None = None, api_key_env: str = "",
    insecure: bool = False, adapt: Callable[[list[Target]], Iterable[Target]] = iter,
) -> list[Finding]:  # fmt: skip
    """Look at this machine, and ask the targets or providers named; no others get to see a key.

    `adapt` makes of a target what it is to be asked as.
    """
    findings = [*_machine(), *_keys()]
    if any(finding.what == "targets" and finding.state == "bad" for finding in findings):
        return findings
    looked_at = [_target(name) for name in names]
    if base_url is not None and looked_at:
        looked_at = moved(looked_at, base_url, api_key_env)
    elif base_url is not None:
        looked_at.append(targets.one_off(base_url, ANY, api_key_env))
    if not looked_at:
        mend = "name those that are to be asked, such as `holymon doctor openai`"
        return [*findings, Finding("APIs", "note", "none was named, so none was asked", mend)]
    for target in adapt([*over_http(looked_at, insecure)]):
        findings += _endpoint(target)
    return findings


def _target(name: str) -> Target:
    """A target by its name, or a provider with any model."""
    if name in targets.providers():
        return targets.unpriced(f"{name}/fast" if name == "sim" else f"{name}/{ANY}")
    return targets.target(name)


def _machine() -> Iterator[Finding]:
    # Older ones can't have installed this package.
    yield Finding("Python", "good", ".".join(map(str, sys.version_info[:3])))
    yield _packages()
    cores = os.cpu_count() or 1
    mend = "the worker, the API (if it runs here) and the notebook will share it" * (cores < 2)
    yield Finding("processor cores", "good" if cores > 1 else "note", str(cores), mend)
    yield _writable(Path.cwd())
    if program := browser():
        yield Finding("chromium", "good", Path(program).name)
    else:
        mend = "only needed for a report's --pdf and to run the tests: apt-get install chromium"
        yield Finding("chromium", "note", "absent", mend)


def _packages() -> Finding:
    missing, versions = [], []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", "bad", f"missing {', '.join(missing)}", "pip install holymon")
    return Finding("packages", "good", ", ".join(versions))


def _writable(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 1e9
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        mend = "change to a folder you may write to, or name one with --out"
        return Finding("folder", "bad", f"can't write here: {error.strerror}", mend)
    if free < 1:
        return Finding("folder", "note", f"{free:.1f} GB free", "make room for the records of runs")
    return Finding("folder", "good", f"writable, {free:.0f} GB free")


def _keys() -> Iterator[Finding]:
    try:
        known = targets.providers()
    except HolymonError as error:
        yield Finding("targets", "bad", str(error), "mend the file, or move it away")
        return
    path = targets.user_file()
    yield Finding("targets", "good", "packaged" + (f" and {path.name}" if path else " only"))
    for name, about in known.items():
        variable = about.get("api_key_env")
        if not variable:
            continue
        what = f"key of {name}"
        if variable not in os.environ:
            mend = f"to use {name}: export {variable}=..."
            yield Finding(what, "note", f"{variable} is not set", mend)
            continue
        try:
            Secret(os.environ[variable].removesuffix("\r"), variable)
            yield Finding(what, "good", f"{variable} is set")
        except ConfigError as error:
            yield Finding(what, "bad", "not usable", str(error))


def _endpoint(target: Target) -> Iterator[Finding]:
    if target.simulated:
        yield Finding("sim", "good", "built in: every run starts its own")
        return
    what = f"{target.provider} at {target.base_url or '(no base_url)'}"
    try:
        agreed([target])
        key, secrets = key_of(target), secrets_of(target)
    except ConfigError as error:
        yield Finding(what, "bad", "not asked", str(error))
        return
    if target.model != ANY:
        yield _price(target)
    listed = asyncio.run(_ask(target, key, secrets, what))
    yield listed
    if listed.state != "bad":
        yield _first_call(target)


def _price(target: Target) -> Finding:
    """What a model costs, and who says so."""
    what, price = f"price of {target.name}", target.billed
    if not price.stated:
        mend = f"to know what calls cost, put prices under [{target.provider}] in your targets.toml"
        return Finding(what, "note", "not known", mend)
    return Finding(what, "good", str(price.words))


def _first_call(target: Target) -> Finding:
    """What a call of a few tokens learns, as a load makes it before it begins."""
    what = f"first call to {target.name}"
    if target.model == ANY:
        mend = f"name a model to try one: `holymon doctor {target.provider}/MODEL`"
        if target.provider == "url":
            mend = "name a model to try one, with `holymon load --model`"
        return Finding(what, "note", "not made: no model was named", mend)
    plan = Plan(targets=(target,), load=Closed(users=1), requests=1, timeout_s=PATIENCE_S,
                prompts=Prompts(max_tokens=TOKENS))  # fmt: skip
    (call,) = asyncio.run(FirstCalls(plan).run())
    if not call.error_type:
        return Finding(what, "good", call.words)
    mend = hint(call.error_type, call.message, target)
    return Finding(what, "bad" if call.ended else "note", call.words, mend)


async def _ask(
    target: Target, key: Secret | None, secrets: tuple[Secret, ...], what: str
) -> Finding:
    """GET /models, which most OpenAI-compatible APIs answer and none bills."""
    answer, page = Response(), bytearray()
    try:
        await _models_page(target, key, answer, page)
    except TimeoutError:
        came = f"its head (status {answer.status}) and {number_of(len(page), 'byte')}"
        why = f"only {came} came" if answer.status else "not even its head came"
        mend = f"see whether {target.base_url} is the address of an API, and how busy that is"
        late = f"no whole answer to GET /models within {PATIENCE_S:g} s: {why}"
        return Finding(what, "bad", late, mend)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is what was to be found out
        kind, why = classify(error), redact(short(words(error)), secrets)
        mend = hint(kind, why, target) or "check the address and the network"
        return Finding(what, "bad", f"not reachable: {kind}: {why}", mend)
    body = bytes(page)
    if answer.status != 200:
        return _refused(target, what, answer, body, secrets)
    names = [redact(short(name, 60), secrets) for name in _models(body)]
    shown = ", ".join(names[:MODELS_SHOWN]) + (", ..." if len(names) > MODELS_SHOWN else "")
    return Finding(what, "good", f"answers; {number_of(len(names), 'model')}: {shown}")


async def _models_page(
    target: Target, key: Secret | None, response: Response, page: bytearray
) -> None:
    """Put what comes for GET /models into `page`, read as calls are, within like limits.

    Raises TimeoutError for what is connected, and has not answered in time.
    """

    def take(_: float, piece: bytes) -> bool:
        page.extend(piece)
        if len(page) > MOST_OF_A_PAGE:
            raise TooLarge(f"the list of models is over {MOST_OF_A_PAGE} bytes")
        return False

    transport, until = Transport(), asyncio.get_running_loop().time() + PATIENCE_S
    try:
        await transport.send(_request(target), response, key, connect_s=PATIENCE_S)
        async with asyncio.timeout_at(until):
            await response.begin()
            await response.pour(take)
    finally:
        response.close()
        await transport.aclose()


def _request(target: Target) -> Prepared:
    headers = {"accept-encoding": "gzip, deflate", "user-agent": "holymon"}
    return prepared_of(target, "/models", headers, method="GET")


def _refused(
    target: Target, what: str, answer: Response, body: bytes, secrets: tuple[Secret, ...]
) -> Finding:
    """What another status than 200 says, read as a load reads it."""
    marks = Marks(0, 0, 0.0)
    reading = Reading(marks, DIALECTS[target.endpoint], stream=False)
    reading.head(0.0, answer.status, answer.header)
    reading.piece(0.0, body)
    error = reading.end(0.0)
    why = redact(short(marks.message, 120), secrets)
    mend = hint(error, marks.message, target)
    result = f"answers {answer.status} to GET /models" + f": {why}" * bool(why)
    if error in {"authentication", "permission", "quota_exhausted"}:
        if error == "authentication" and not why.startswith("a page"):
            result = f"answers {answer.status}: the key was refused" + f": {why}" * bool(why)
            mend = mend if target.api_key_env else "name its key with --api-key-env"
        return Finding(what, "bad", result, mend)
    mend = mend if error != "not_found" or not has_version(target) else ""
    return Finding(what, "note", result, mend or "some servers have no model list")


def _models(body: bytes) -> list[str]:
    try:
        return sorted(str(model["id"]) for model in parsed(body)["data"])
    except (KeyError, TypeError):
        return []
