"""E. The reason is told, and is the right one: its type, its first words, and what may mend it."""

import asyncio
import json
import ssl
import subprocess

import pytest

from holymon.figures.hints import hint
from holymon.load.caller import Caller
from holymon.load.run import Run, measure
from holymon.plan.plan import Closed, Plan, Prompts, Target
from holymon.records.own_files import write_json
from holymon.report import sections
from holymon.report.index import write_index
from holymon.structs import replace
from holymon.widgets import panels_html
from tests.promises.faults.server import FIN, HANG, RST, Server
from tests.promises.field.cases import Case, plan_of, whole

JSON, HTML = "application/json", "text/html; charset=UTF-8"


def answer(status: str, body: str | dict, kind: str = JSON, head: str = "") -> bytes:
    """A whole answer in one piece."""
    raw = (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
    lines = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{head}content-length: {len(raw)}\r\n\r\n"
    return lines.encode() + raw


def asked(
    *steps, tls=None, hello=(), reach=lambda url: url, connect_s=10.0, **more
) -> tuple[str, str, str]:
    """Error type, words and hint of one call that a server answers with these steps."""

    async def work():
        async with Server(steps, tls=tls, hello=hello) as server:
            plan = plan_of(reach(server.url), Case("", "", b""), connect_s=connect_s)
            plan = replace_target(plan, **more)
            caller = Caller(plan)
            try:
                return await caller.send(0, 0, 0.0), plan.targets[0]
            finally:
                await caller.aclose()

    marks, target = asyncio.run(work())
    return marks.error, marks.message, hint(marks.error, marks.message, target)


def replace_target(plan, **more):
    return replace(plan, targets=(replace(plan.targets[0], **more),))


def error(message, kind=None, code=None, **more):
    return {"error": {"message": message, "type": kind, "code": code, **more}}


QUOTA = [
    # name, source, status, body
    ("new-api's user", "QuantumNous/new-api#6929", "403 Forbidden",
     error("用户额度不足, 剩余额度: ＄-0.000002", "new_api_error", "insufficient_user_quota")),
    ("a balance error", "variant of Moonshot's", "429 Too Many Requests", error("no", "insufficient_balance_error")),
    ("Moonshot", "666ghj/BettaFish#524", "429 Too Many Requests",
     error("Your account org-x is suspended due to insufficient balance, please recharge your account "
           "or check your plan and billing details", "exceeded_current_quota_error")),
    ("one-api's reserve", "clacky-ai/openclacky#100", "403 Forbidden",
     error("预扣费额度失败, 用户剩余额度: ＄2.533620, 需要预扣费额度: ＄2.627750", "one_api_error",
           "pre_consume_token_quota_failed")),
    ("Anthropic's 400", "askimo-ai/askimo#277; anthropics/anthropic-sdk-typescript#618",
     "400 Bad Request",
     {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is "
      "too low to access the Anthropic API. Please go to Plans & Billing to upgrade."}}),
    ("Perplexity's 401", "simonw/llm#494, the same code", "401 Unauthorized",
     error("You exceeded your current quota, please check your plan and billing details.",
           "insufficient_quota", 401)),
    ("Zhipu", "open.bigmodel.cn, error codes: 1113", "429 Too Many Requests",
     error("您的账户已欠费，请充值后重试。", None, "1113")),
    ("SiliconFlow", "docs.siliconflow.cn, error codes: 30001", "403 Forbidden",
     {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None}),
    ("DashScope", "help.aliyun.com, Model Studio error codes", "400 Bad Request",
     error("Access denied, please make sure your account is in good standing.", "Arrearage", "Arrearage")),
    ("Ark", "volcengine.com, Ark error codes", "403 Forbidden",
     error("The request failed because your account has an overdue balance.", "Forbidden",
           "AccountOverdueError")),
    ("OpenRouter", "bobrware/bobrchat#143", "402 Payment Required",
     error("This request requires more credits, or fewer max_tokens.", None, 402)),
    ("litellm's budget", "docs.litellm.ai, virtual keys", "400 Bad Request",
     error("Budget has been exceeded! Current cost: 0.1, Max budget: 0.05", "budget_exceeded", "400")),
    ("Fireworks' 412", "docs.fireworks.ai, error codes", "412 Precondition Failed",
     error("Account x is suspended, possibly due to reaching the monthly spending limit or failure to "
           "pay past invoices", "error", "PRECONDITION_FAILED")),
    ("xAI", "docs.x.ai", "403 Forbidden",
     {"code": "The caller does not have permission", "error": "Your newly created teams doesn't have "
      "any credits yet. You can purchase credits"}),
    ("Workers AI", "developers.cloudflare.com, Workers AI errors: 4006", "429 Too Many Requests",
     {"errors": [{"message": "AiError: you have used up your daily free allocation of 10,000 neurons",
                  "code": 4006}], "success": False}),
    ("a gateway's 500", "chatanywhere/GPT_API_free#495", "500 Internal Server Error", error("余额不足")),
    ("Japanese", "variant of chatanywhere/GPT_API_free#495", "403 Forbidden", error("残高が不足しています。")),
    ("Korean", "variant of chatanywhere/GPT_API_free#495", "400 Bad Request", error("크레딧이 부족합니다")),
    ("Vietnamese", "variant of chatanywhere/GPT_API_free#495", "403 Forbidden", error("Số dư tài khoản không đủ, vui lòng nạp thêm")),
    ("Russian", "variant of chatanywhere/GPT_API_free#495", "400 Bad Request", error("Недостаточно средств на балансе")),
    ("Spanish", "variant of chatanywhere/GPT_API_free#495", "403 Forbidden", error("Saldo insuficiente")),
    ("traditional Chinese", "variant of chatanywhere/GPT_API_free#495", "403 Forbidden", error("帳戶餘額不足，請儲值")),
    ("MiniMax inside a 200", "platform.minimaxi.com, error codes: 1008", "200 OK",
     {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
]  # fmt: skip

NO_QUOTA = [
    ("Google's limit per minute", "ai.google.dev, troubleshooting: 429", "429 Too Many Requests",
     "rate_limited",
     {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current "
      "quota, please check your plan and billing details. * Quota exceeded for metric: "
      "generate_content_free_tier_requests, limit: 15 Please retry in 34.07s."}}),
    ("Groq's tokens per day", "console.groq.com, rate limits", "429 Too Many Requests", "rate_limited",
     error("Rate limit reached for model `llama` on tokens per day (TPD): Limit 100000, Used 99999. "
           "Please try again in 7m. Need more tokens? Upgrade at https://console.groq.com/settings/billing",
           "tokens", "rate_limit_exceeded")),
    ("a busy channel", "QuantumNous/new-api, distributor", "503 Service Unavailable", "unavailable",
     error("当前分组上游负载已饱和，请稍后再试", "new_api_error")),
    ("a refused key", "platform.openai.com, error codes", "401 Unauthorized", "authentication",
     error("Incorrect API key provided: sk-xx.", "invalid_request_error", "invalid_api_key")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "source", "status", "body"), QUOTA, ids=lambda v: str(v)[:24])
def test_no_credit_is_known_by_code_type_or_words_at_any_status(name, source, status, body):
    kind, words, mend = asked(answer(status, body), api_key_env="PATH")
    assert kind == "quota_exhausted", (name, words)
    assert words
    assert mend == "no credit is left for the key in PATH"


@pytest.mark.parametrize(("name", "source", "status", "kind", "body"), NO_QUOTA)
def test_a_limit_that_passes_by_itself_is_no_lack_of_credit(name, source, status, kind, body):
    assert asked(answer(status, body))[0] == kind


CLOUDFLARE = (
    "<!DOCTYPE html><html class='no-js' lang='en-US'><head><title>Attention Required! | Cloudflare"
    "</title><style>body{}</style></head><body><h1>Sorry, you have been blocked</h1>"
    "<p>Cloudflare Ray ID: <strong>8d49989abc171ce8</strong></p></body></html>"
)
WALLS = [
    ("Cloudflare blocks", "lss233/kirara-ai#929; OpenHands/OpenHands#4480", "403 Forbidden", CLOUDFLARE),
    ("Cloudflare restricts", "JohnnyZ93/oai-compatible-copilot#287", "403 Forbidden",
     "<!doctype html>\n\n <html class='no-js'> <head> <title>Access denied | x.app used Cloudflare to "
     "restrict access</title></head></html>"),
    ("Cloudflare asks a human", "run-llama/llama_index#16796", "503 Service Temporarily Unavailable",
     "<!DOCTYPE html><html lang='en-US'><head><title>Just a moment...</title></head><body>Enable "
     "JavaScript and cookies to continue</body></html>"),
    ("Akamai", "variant of Cloudflare's: AkamaiGHost", "403 Forbidden",
     "<HTML><HEAD>\n<TITLE>Access Denied</TITLE>\n</HEAD><BODY>\n<H1>Access Denied</H1>\nYou don't have "
     'permission to access "http&#58;&#47;&#47;x" on this server.<P>\nReference&#32;&#35;18&#46;2f'
     "\n</BODY>\n</HTML>"),
    ("Incapsula", "variant of Cloudflare's: Imperva's error page", "503 Service Unavailable",
     '<html style="height:100%"><head><META NAME="ROBOTS" CONTENT="NOINDEX"></head><body><iframe '
     'src="/_Incapsula_Resource?a">Request unsuccessful. Incapsula incident ID: 7-1</iframe></body>'),
    ("F5", "variant of Cloudflare's: BIG-IP ASM", "403 Forbidden",
     "<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please "
     "consult with your administrator.<br>Your support ID is: 1</body></html>"),
    ("a bare 403 page", "variant of Cloudflare's: nginx", "403 Forbidden",
     "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body><center><h1>403 Forbidden</h1>"
     "</center><hr><center>nginx</center></body></html>"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "source", "status", "page"), WALLS, ids=lambda v: str(v)[:24])
def test_a_page_of_a_wall_says_nothing_of_the_key(name, source, status, page):
    kind, words, mend = asked(answer(status, page, HTML), api_key_env="PATH")
    assert kind in {"permission", "unavailable"}
    assert words.startswith("a page of HTML: ")
    assert "<" not in words
    assert "a wall or proxy in between" in mend
    assert "another key" not in mend


def test_a_page_of_a_proxy_names_its_settings():
    page = ("<html><head><title>ERROR: The requested URL could not be retrieved</title></head><body>"
            "The following error was encountered while trying to retrieve the URL</body></html>")  # fmt: skip
    assert "HTTP_PROXY" in asked(answer("503 Service Unavailable", page, HTML))[2]


def test_an_apis_own_403_is_still_of_the_key():
    kind, _, mend = asked(answer("403 Forbidden", error("no access to this model")),
                              api_key_env="PATH")  # fmt: skip
    assert (kind, "another key (PATH)" in mend) == ("permission", True)


@pytest.mark.parametrize(
    ("status", "location", "words", "mend"),
    [
        ("301 Moved Permanently", "https://{host}/v1/chat/completions",
         "redirected to https://{host}/v1/chat/completions", "write https://"),
        ("308 Permanent Redirect", "/api/v1/chat/completions", "redirected to /api/v1/chat/completions",
         "make that address the base_url"),
        ("302 Found", "https://me:hunter2@sso.example/login?token=sk-abcdefgh1234&next=/",
         "redirected to https://sso.example/login", "a page to log in at"),
        ("307 Temporary Redirect", "http://eu.api.example/v1/chat/completions#x",
         "redirected to http://eu.api.example/v1/chat/completions", "make that address the base_url"),
        ("303 See Other", "https://x.example/sk-aaaabbbbcccc1111dddd/y", "redirected to https://x.example/***",
         "redirections are not followed"),
    ],
)  # fmt: skip
def test_a_redirection_tells_where_it_leads_and_no_secret(status, location, words, mend):
    """bentoml/OpenLLM#906, and proxies that end TLS: a POST is answered by a 301 to https."""
    host = "127.0.0.1"
    head = f"location: {location.format(host=host)}\r\n"
    kind, told, hinted = asked(answer(status, "<html>Moved</html>", HTML, head))
    assert (kind, told) == ("unexpected_status", words.format(host=host))
    assert mend in hinted


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([answer("400 Bad Request", "<html><head><title>400 The plain HTTP request was sent to HTTPS "
                 "port</title></head></html>", HTML)], "bad_request"),  # nginx
        ([answer("400 Bad Request", "Client sent an HTTP request to an HTTPS server.\n", "text/plain")],
         "bad_request"),  # Go
        ([answer("400 Bad Request", "<p>Reason: You're speaking plain HTTP to an SSL-enabled server port."
                 "</p>", HTML)], "bad_request"),  # Apache
        ([b"\x15\x03\x01\x00\x02\x02\x16", FIN], "protocol_error"),  # OpenSSL's alert
    ],
)  # fmt: skip
def test_plain_http_to_a_port_of_tls_is_called_that(steps, kind):
    error_type, words, mend = asked(*steps)
    assert error_type == kind
    assert mend.startswith("that port speaks TLS: write https://127.0.0.1:"), words


def test_plain_http_to_a_real_port_of_tls_is_never_silent(tls):
    kind, words, mend = asked(tls=tls, reach=lambda url: url.replace("https", "http"))
    assert kind in {"server_disconnected", "protocol_error", "connection_reset"}
    assert "TLS" in mend, words


def test_tls_to_a_plain_port_is_called_that():
    kind, words, mend = asked(
        hello=[answer("400 Bad Request", "Invalid HTTP request received.", "text/plain"), FIN],
        reach=lambda url: url.replace("http", "https"),
    )
    assert kind == "tls_error"
    assert mend.startswith("that port does not speak TLS: write http://127.0.0.1:"), words


def test_an_untrusted_certificate_names_the_two_ways_to_trust_it(tls):
    kind, _, mend = asked(tls=tls)
    assert kind == "tls_error"
    assert "SSL_CERT_FILE" in mend
    assert "ca_file" in mend


@pytest.mark.parametrize(
    ("made_for", "reached_as", "words", "mend"),
    [
        ({"expired": True}, "127.0.0.1", "certificate has expired", "is not valid now: renew it"),
        ({"name": "DNS:other.example"}, "127.0.0.1", "IP address mismatch", "not for the host in https://127.0.0.1:"),
        ({"name": "DNS:other.example"}, "localhost", "Hostname mismatch", "not for the host in https://localhost:"),
    ],
)  # fmt: skip
def test_a_certificate_out_of_date_and_one_for_another_name_are_called_that(
    made_for, reached_as, words, mend, tmp_path, debian
):
    """A server whose certificate is trusted, and wrong."""
    cert, key = certified(tmp_path, debian("openssl", "openssl"), **made_for)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    kind, told, hinted = asked(tls=context, ca_file=str(cert),
                               reach=lambda url: url.replace("127.0.0.1", reached_as))  # fmt: skip
    assert kind == "tls_error"
    assert words in told
    assert mend in hinted


def certified(folder, openssl, *, name="IP:127.0.0.1", expired=False):
    """A certificate that signs itself, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=x", "-addext", f"subjectAltName={name}"]
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key]
    make = [openssl, "req", "-x509", *new, "-out", cert, *subject, "-days", "2"]
    subprocess.run(make, check=True, capture_output=True)
    if expired:
        again = [openssl, "x509", "-in", cert, "-signkey", key, "-days", "-1", "-out", cert]
        subprocess.run(again, check=True, capture_output=True)
    return cert, key


def test_tls_to_a_port_that_is_silent_is_no_question_of_its_reach():
    kind, words, mend = asked(
        hello=[HANG], reach=lambda url: url.replace("http", "https"), connect_s=0.3
    )
    assert (kind, words) == (
        "connect_timeout",
        "ConnectTimeout: no answer to the greeting of TLS in time",
    )
    assert mend.startswith("if that port does not speak TLS, write http://127.0.0.1:")


def test_a_targets_ca_file_is_trusted(tls, certificate):
    kind, words, _ = asked(answer("401 Unauthorized", error("no key")), tls=tls,
                           ca_file=str(certificate[0]))  # fmt: skip
    assert (kind, words) == ("authentication", "no key")


@pytest.mark.parametrize("way", ["refuses", "hangs up", "is not there"])
def test_a_dead_proxy_is_its_own_error(way, monkeypatch):
    """Whatever is wrong with the proxy is no fault of the API: exit 4, as nothing was reached."""

    async def work():
        steps = [answer("502 Bad Gateway", "no", "text/plain"), FIN] if way == "refuses" else [RST]
        async with Server(steps) as server:
            port = 9 if way == "is not there" else server.port
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
            plan = plan_of("https://far.example/v1", Case("", "", b""))
            caller = Caller(plan)
            try:
                return await caller.send(0, 0, 0.0), plan.targets[0]
            finally:
                await caller.aclose()

    marks, target = asyncio.run(work())
    assert marks.error == "proxy_error"
    assert "HTTPS_PROXY" in hint(marks.error, marks.message, target)


def test_a_version_is_asked_for_only_where_it_is_missing():
    """lmstudio-ai/lmstudio-bug-tracker#618: 404, or a 200 with an error, for a path without /v1."""
    body = answer("404 Not Found", {"detail": "Not Found"})
    bare = asked(body, reach=lambda url: url.removesuffix("/v1"))[2]
    assert bare.endswith("it may need /v1 at its end")
    assert "/v1 at its end" not in asked(body)[2]
    for path in ("/v1beta/openai", "/api/v3", "/openai/deployments/x", "/api/paas/v4"):
        assert (
            "/v1 at its end" not in asked(body, reach=lambda url, p=path: url.replace("/v1", p))[2]
        )
    missing = answer("404 Not Found", error("The model `m` does not exist", code="model_not_found"))
    assert asked(missing)[2] == "check the model's name, 'm'"


@pytest.mark.parametrize("endpoint", ["messages", "responses"])
def test_a_path_that_is_not_there_may_be_of_a_dialect_that_is_not_spoken(endpoint):
    """dwmkerr/mock-llm, vllm-project/vllm before its /v1/messages: a 404 that names no model."""
    body = answer("404 Not Found", {"detail": "Not Found"})
    spoken = asked(body, endpoint=endpoint)[2]
    assert spoken.startswith("check the model's name, the base_url (")
    assert spoken.endswith(f"the endpoint in targets.toml: that server may not speak {endpoint}")
    bare = asked(body, reach=lambda url: url.removesuffix("/v1"), endpoint=endpoint)[2]
    assert bare.endswith(f"it may need /v1 at its end, or not speak {endpoint}")


@pytest.mark.parametrize(
    "words",
    ["Streaming is not supported for this model", "This model does not support streaming",
     "'stream' is not allowed", "stream=true is unsupported here"],
)  # fmt: skip
def test_an_api_that_can_not_stream_leads_to_no_stream(words):
    """openai/openai-python#1968 and others: o1 refused `stream` with 400 at first."""
    assert "--no-stream" in asked(answer("400 Bad Request", error(words)))[2]


def measured(tmp_path, *answers: bytes, **more) -> Run:
    """A run of 12 calls to a server that gives these answers in turn."""

    async def work():
        async with Server(*([step] for step in answers * 12)) as server:
            plan = Plan(targets=(Target(provider="url", model="m", base_url=server.url),),
                        load=Closed(users=1), prompts=Prompts(stream=False), requests=12, **more)  # fmt: skip
            return await asyncio.to_thread(measure, plan, out=tmp_path)

    return asyncio.run(work())


GOOD = answer("200 OK", whole())
HOSTILE = "\x1b[31mno <script>alert(1)</script> for sk-abcdefgh12345678, see \u202eetalp"


def test_the_first_words_of_each_error_stand_wherever_one_looks(tmp_path):
    bad, slow = answer("500 Oops", error(HOSTILE)), answer("429 Slow", error("slow"))
    run = measured(tmp_path, GOOD, bad, slow, bad)
    (target,) = run.to_dict()["targets"]
    assert target["errors"] == {"server_error": 6, "rate_limited": 3}
    assert target["messages"]["rate_limited"] == "slow"
    shown = "[31mno <script>alert(1)</script> for ***, see <U+202E>etalp"
    assert target["messages"]["server_error"] == shown
    assert f"6 server_error: {shown}" in " ".join(sections.run_text(run).split())
    assert "3 rate_limited: slow" in sections.sweep_table([run, run]).text()
    page = panels_html.trust(run.summary(), run.verdict(), run.vitals, run.plan)
    assert "3 rate_limited: slow" in page
    write_json(run.folder / "run.json", {**run.to_dict(), "report": {"status": "ok"}})
    write_index(tmp_path)
    index = (tmp_path / "index.html").read_text("utf-8")
    assert "server_error: [31mno" in index
    for html in (page, index, sections.errors(run).html):
        assert "<script>alert" not in html
        assert "sk-abcdefgh12345678" not in html + sections.run_text(run)


def test_where_all_calls_fail_the_reason_has_the_words_and_its_level(tmp_path):
    gone = answer("404 Not Found", error("The model `m` does not exist"))
    run = measured(tmp_path, gone, first_call=False)
    (reason,) = (r for r in run.to_dict()["verdict"]["reasons"] if "succeeded, all" in r)
    assert reason.startswith("invalid: url/m: no call succeeded, all failed with not_found (404")
    assert reason.endswith("The model `m` does not exist – check the model's name, 'm'.")
    assert reason in sections.run_text(run)
    assert run.exit_code == 2
