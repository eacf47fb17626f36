"""A server or a proxy would like to have a key that is another's: it is given its own, or none."""

import openai
import pytest

import holymon as hm
from holymon.cli.doctor import examine
from holymon.plan.plan import Closed, Plan, Prompts, Target
from holymon.transport.exceptions import classify
from tests.promises.security.listening import listening

KEY = "canary-0123456789"


def measured(tmp_path, **target) -> hm.Plan:
    plan = Plan(
        targets=(Target(provider="url", model="m", api_key_env="MY_KEY", **target),),
        load=Closed(users=1), requests=2, prompts=Prompts(stream=False), first_call=False,
        connect_s=5, timeout_s=5,
    )  # fmt: skip
    return hm.measure(plan, out=tmp_path)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_no_key_along(tmp_path, monkeypatch, status):
    monkeypatch.setenv("MY_KEY", KEY)
    with listening() as (other, stolen):
        for location in (f"{other}/chat/completions", other.replace("http:", "")):
            with listening(status, location=location) as (base_url, heard):
                examine(base_url=base_url, api_key_env="MY_KEY")
                if status == 307:
                    measured(tmp_path, base_url=base_url)
            assert set(heard) == {f"Bearer {KEY}"}
        assert stolen.requests == 0


def test_a_proxy_sees_where_a_call_goes_and_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    with listening() as (proxy, heard):
        host = proxy.removeprefix("http://").removesuffix("/v1")
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:its-own-password@{host}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        run = measured(tmp_path, base_url="https://far.example/v1")
        assert heard.requests >= 1
    assert {line.partition(":")[0].lower() for line in heard} == {"host", "proxy-authorization"}
    assert KEY not in "".join(heard)
    assert set(run.summary().targets[0].errors) == {"proxy_error"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_watched_client_trusts_nobody_whom_it_did_not_trust(certificate, monkeypatch, host):
    """One that nobody signed, and one that is trusted, by another name."""
    tls, trusted = certificate
    if host == "localhost":
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with listening(tls=tls) as (base_url, heard):
        client = openai.OpenAI(
            api_key=KEY, base_url=base_url.replace("127.0.0.1", host), max_retries=0
        )
        hm.monitored(client)
        with pytest.raises(openai.APIConnectionError) as caught:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
        assert classify(caught.value) == "tls_error"
        records = client.monitor.records
        assert list(records.to_frame()["error_type"]) == ["tls_error"]
        assert heard.requests == 0
        assert KEY not in f"{records.messages()} {records.to_frame().to_string()}"
