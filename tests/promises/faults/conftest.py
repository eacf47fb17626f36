"""Event loops, certificates and callers for the fault suite."""

import asyncio
import ssl
import subprocess
import sys

import pytest

KEY = 'sk-wrong-canary-7fQ2/x+9Zb"k\\3'


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """Runs a coroutine on each kind of loop, for 20 s at most."""
    if request.param == "uvloop" and sys.platform == "win32":
        pytest.skip("there is no uvloop for Windows")
    factory = None
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    def go(work):
        async def bounded():
            async with asyncio.timeout(20):
                return await work

        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(bounded())

    return go


@pytest.fixture(scope="session")
def certificate(tmp_path_factory, debian):
    """The paths of a certificate and key of our own, made for this session."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [debian("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.fixture
def tls(certificate):
    """A server's TLS context with that certificate, which nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context
