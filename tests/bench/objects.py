"""A folder as a store that speaks as much of S3 as is needed, one process: files go out unread.

    python -m tests.bench.objects FOLDER        prints its address

moto keeps objects in memory and copies the whole of one for each range of it.
"""

import asyncio
import sys
from hashlib import md5
from pathlib import Path
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from aiohttp import web

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
MOST = 1000
MISSING = "<Error><Code>{0}</Code><Message>none</Message></Error>"


def missing(code: str) -> web.Response:
    return web.Response(status=404, text=MISSING.format(code), content_type="application/xml")


async def get(request: web.Request) -> web.StreamResponse:
    if "list-type" in request.query:
        return listed(request)
    path = ROOT / request.path.lstrip("/")
    return web.FileResponse(path) if path.is_file() else missing("NoSuchKey")


def listed(request: web.Request) -> web.Response:
    bucket = ROOT / request.path.strip("/")
    query = {name: values[0] for name, values in parse_qs(request.query_string).items()}
    prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
    under = bucket / prefix
    files = under.rglob("*") if under.is_dir() else ()
    keys = sorted(str(path.relative_to(bucket)) for path in files if path.is_file())
    rest = [key for key in keys if key > after]
    page, more = rest[:MOST], len(rest) > MOST
    items = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{(bucket / key).stat().st_size}</Size>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass>"
        "</Contents>" for key in page
    )  # fmt: skip
    last = escape(page[-1]) if more else ""
    token = f"<NextContinuationToken>{last}</NextContinuationToken>" * more
    text = (
        f"<ListBucketResult><Name>{bucket.name}</Name><Prefix>{escape(prefix)}</Prefix>"
        f"<KeyCount>{len(page)}</KeyCount><MaxKeys>{MOST}</MaxKeys>"
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{items}{token}</ListBucketResult>"
    )
    return web.Response(text=text, content_type="application/xml")


async def put(request: web.Request) -> web.Response:
    path, data = ROOT / request.path.lstrip("/"), await request.read()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return web.Response(headers={"ETag": f'"{md5(data).hexdigest()}"'})


async def delete(request: web.Request) -> web.Response:
    (ROOT / request.path.lstrip("/")).unlink(missing_ok=True)
    return web.Response(status=204)


async def main() -> None:
    app = web.Application(client_max_size=2**32)
    app.add_routes(
        [web.get("/{path:.*}", get), web.put("/{path:.*}", put), web.delete("/{path:.*}", delete)]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
