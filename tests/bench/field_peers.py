"""What holymon and other clients make of the field's streams, as the table in promises/field/README.md.

    python -m tests.bench.field_peers [PYTHON]

The clients run in a process of PYTHON (default: this one), which needs openai and httpx and, to be
in the table, anthropic and litellm. Right is: a good answer's text with no exception, an error with
its words, raised or handed out as an event. A client counts where it speaks the dialect.
"""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

PATIENCE_S = 6.0
README = Path(__file__).parents[1] / "promises" / "field" / "README.md"


def of_openai(url: str, streamed: bool, endpoint: str) -> str:
    """The text as the openai SDK has it."""
    import openai

    client = openai.OpenAI(base_url=url, api_key="x", max_retries=0, timeout=PATIENCE_S)
    if endpoint == "responses":
        made = client.responses.create(model="m", input="hi", stream=streamed)
        return "".join(map(_of_event, made)) if streamed else made.output_text
    ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    if not streamed:
        return client.chat.completions.create(**ask).choices[0].message.content or ""
    chunks = client.chat.completions.create(**ask, stream=True)
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def _of_event(event) -> str:
    if event.type in {"error", "response.failed"}:
        raise RuntimeError(str(event))
    return event.delta if event.type == "response.output_text.delta" else ""


def of_anthropic(url: str, streamed: bool, _endpoint: str) -> str:
    """The text as the anthropic SDK has it."""
    import anthropic

    client = anthropic.Anthropic(base_url=url, api_key="x", max_retries=0, timeout=PATIENCE_S)
    ask = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    if not streamed:
        return "".join(block.text for block in client.messages.create(**ask).content)
    pieces = (getattr(e, "delta", None) for e in client.messages.create(**ask, stream=True))
    return "".join(getattr(piece, "text", None) or "" for piece in pieces)


def of_litellm(url: str, streamed: bool, _endpoint: str) -> str:
    """The text as litellm has it."""
    import litellm

    litellm.suppress_debug_info = True
    answer = litellm.completion(
        model="openai/m", messages=[{"role": "user", "content": "hi"}], api_base=url, api_key="x",
        stream=streamed, max_retries=0, num_retries=0, timeout=PATIENCE_S,
    )  # fmt: skip
    if not streamed:
        return answer.choices[0].message.content or ""
    return "".join(c.choices[0].delta.content or "" for c in answer if c.choices)


def of_bare_loop(url: str, streamed: bool, _endpoint: str) -> str:
    """The text as scripts and the benchmarks of servers read it: `data: ` lines, JSON, choices."""
    import httpx

    body = {"model": "m", "messages": [], "stream": streamed}
    with httpx.stream("POST", f"{url}/chat/completions", json=body, timeout=PATIENCE_S) as answer:
        answer.raise_for_status()
        if not streamed:
            return json.loads(answer.read())["choices"][0]["message"]["content"]
        text = ""
        for line in answer.iter_lines():
            if line.startswith("data: ") and line != "data: [DONE]":
                value = json.loads(line[6:])
                if value.get("choices"):
                    text += value["choices"][0]["delta"].get("content") or ""
        return text


CLIENTS = {"openai": of_openai, "litellm": of_litellm, "anthropic": of_anthropic,
           "a bare httpx loop": of_bare_loop}  # fmt: skip
SPEAKS = {"openai": {"chat", "responses"}, "anthropic": {"messages"}}
"""Which dialects a client speaks, where that is not chat alone."""


def peer() -> None:
    """Make the calls that stand in stdin, and write what became of them."""
    import importlib.metadata as about
    from concurrent.futures import ThreadPoolExecutor

    def made(client, job):
        if job[2] not in SPEAKS.get(client, {"chat"}):
            return None
        try:
            return {"text": CLIENTS[client](*job), "error": None}
        except Exception as error:  # noqa: BLE001 - whatever a client raises
            return {"text": "", "error": f"{type(error).__name__}: {error}"}

    jobs, results = json.load(sys.stdin), {}
    for client in CLIENTS:
        package = "httpx" if client == "a bare httpx loop" else client
        try:
            name = f"{client} {about.version(package)}"
        except about.PackageNotFoundError:
            continue
        with ThreadPoolExecutor(4) as pool:
            results[name] = list(pool.map(lambda job, client=client: made(client, job), jobs))
    json.dump(results, sys.stdout)


async def played(python: str) -> tuple[list, dict[str, list[bool | None]]]:
    """All cases, and whether each client was right; None where it does not speak the dialect."""
    from tests.promises.faults.server import Server
    from tests.promises.field import test_errors_in_a_200 as a
    from tests.promises.field import test_fresh_variants as v
    from tests.promises.field import test_good_answers as b
    from tests.promises.field import test_numbers as f
    from tests.promises.field import test_real_servers as r
    from tests.promises.field.cases import load

    groups = {"A": [*a.LISTED, *a.OTHERS, *a.NEVER_OK, *a.GOOD_WITH_ODD_WORDS],
              "B": [*b.LISTED, *b.OTHERS], "F": [*f.LISTED, *f.OTHERS, *f.EMPTIES],
              "real": [r.MALFORMED, r.NESTED, *r.GOOD], "fresh": [*v.FAILED, *v.GOOD, *v.LATER]}  # fmt: skip
    cases = [(kind, case) for kind, group in groups.items() for case in group]
    servers = [Server(case.steps) for _, case in cases]
    for server in servers:
        await server.__aenter__()
    jobs = [
        [server.url, case.streamed, case.endpoint]
        for server, (_, case) in zip(servers, cases, strict=True)
    ]
    process = await asyncio.create_subprocess_exec(
        python, __file__, "peer", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate(json.dumps(jobs).encode())
    for server in servers:
        await server.__aexit__()
    ours = []
    for _, case in cases:
        marks, text = await load(case)
        ours.append(
            {"text": text, "error": f"{marks.error}: {marks.message}" if marks.error else None}
        )
    results = {"holymon": ours, **json.loads(out)}
    return cases, {
        client: [
            found and _is_right(case, found) for (_, case), found in zip(cases, made, strict=True)
        ]
        for client, made in results.items()
    }


def _is_right(case, found: dict) -> bool:
    if not case.error:
        return found["error"] is None and found["text"] == case.text
    return found["error"] is not None and case.words in found["error"]


_CELLS = {True: "right", False: "**wrong**", None: ""}


def main() -> None:
    """Write the table."""
    cases, right = asyncio.run(played(sys.argv[1] if len(sys.argv) > 1 else sys.executable))
    heads = ["kind", "case", "seen", *right]
    rows = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for at, (kind, case) in enumerate(cases):
        cells = [_CELLS[right[client][at]] for client in right]
        rows.append("| " + " | ".join([kind, case.name, case.source, *cells]) + " |")
    sums = [f"{made.count(True)} of {len(made) - made.count(None)}" for made in right.values()]
    rows.append("| " + " | ".join(["", "right", "", *sums]) + " |")
    text = README.read_text()
    table = "<!-- table -->\n" + "\n".join(rows) + "\n<!-- end -->"
    README.write_text(
        re.sub(r"<!-- table -->.*<!-- end -->", lambda _: table, text, flags=re.DOTALL)
    )
    print(dict(zip(right, sums, strict=True)))


if __name__ == "__main__":
    peer() if sys.argv[1:] == ["peer"] else main()
