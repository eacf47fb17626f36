"""A key is shown by nothing, and text from outside can fool neither a reader nor a page."""

import codecs
import copy
import json
import pickle
import textwrap
import traceback
from base64 import b32encode, b64encode
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.errors import ConfigError
from holymon.formatting import ends, file_name
from holymon.safety import Secret, escape, looks_secret, plain, redact, short, spellings
from holymon.structs import refuse_secret

KEY = "canary+/=0123456789&<key>"


def test_no_form_of_a_secret_shows_it():
    secret = Secret(KEY, "MY_KEY")
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>40}",
        format(secret),
        repr([secret]),
    ]
    assert [text for text in shown if KEY in text] == []
    assert secret.reveal() == KEY


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_a_secret_can_not_be_copied_or_written(way):
    with pytest.raises(TypeError) as caught:
        way(Secret(KEY, "MY_KEY"))
    assert KEY not in str(caught.value)


def test_a_traceback_with_all_its_variables_does_not_show_it():
    def inner(secret):
        raise ZeroDivisionError

    try:
        inner(Secret(KEY, "MY_KEY"))
    except ZeroDivisionError as error:
        told = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
    assert KEY not in told.replace(f"KEY = {KEY!r}", "")


@pytest.mark.parametrize("value", ["", " ", "a b", "x\n", "\nx", "x…", "schlüssel", "x\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_it(value):
    with pytest.raises(ConfigError, match="MY_KEY") as caught:
        Secret(value, "MY_KEY")
    assert value.strip() == "" or value.strip() not in str(caught.value)


def test_a_secret_is_masked_in_every_spelling():
    secret = Secret(KEY, "MY_KEY")
    for form in spellings(KEY):
        assert form not in redact(f"before {form} after", (secret,))
    assert unquote(redact(f"x {KEY}", (secret,))) == "x ***"


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcDEF123456_-xyz.",
        "Authorization: Bearer abcdef0123456789",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv", "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567",
        "gsk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk",
        "target 'https://me:hunter2-canary@example.invalid/v1' is not known",
    ],
)  # fmt: skip
def test_what_looks_like_a_key_is_masked(text):
    assert "***" in redact(text)
    assert "hunter2" not in redact(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:8] + "…", lambda key: "…" + key[-8:], lambda key: key[5:17],
        str.upper, lambda key: key[:12].swapcase(), " ".join, lambda key: "-".join(key[3:13]),
        lambda key: "\n".join([key[:9], key[9:]]), lambda key: ", ".join(key[:14]),
        lambda key: f"{key[:9]}****{key[-9:]}",
        lambda key: codecs.encode(key, "rot13"), lambda key: key[::-1].upper(),
        lambda key: key.encode().hex(" "), lambda key: key.encode().hex(":").upper(),
        lambda key: str(list(key.encode())), lambda key: " ".join(map(hex, key.encode())),
        lambda key: "".join(f"\\x{ord(char):02x}" for char in key),
        lambda key: "".join(f"\\{ord(char):03o}" for char in key),
        lambda key: " ".join(f"{ord(char):08b}" for char in key),
        lambda key: b64encode(b"me:" + key.encode() + b"!").decode()[3:-5],
        lambda key: "\n".join(textwrap.wrap(b64encode(b":" + key.encode()).decode(), 10)),
        lambda key: b32encode(key.encode()).decode().lower().rstrip("="),
        lambda key: json.dumps("\n".join(textwrap.wrap(key, 5))),
    ],
)  # fmt: skip
def test_a_part_of_a_key_is_masked_however_it_is_written(change):
    secret = (Secret("qJ7x-Vb2m_Tz9wKp4Lr6Ns8Yd1", "MY_KEY"),)
    part = change(secret[0].reveal())
    shown = redact(f"Wrong key {part} is it.", secret)
    assert shown.startswith("Wrong key ")
    assert shown.endswith(" is it.")
    left = "".join(filter(str.isalnum, shown.removeprefix("Wrong key ").removesuffix("is it.")))
    assert len(left) < 8


@pytest.mark.parametrize("short", [3, 7])
def test_a_few_letters_of_a_key_are_no_part_of_it(short):
    """Else words would go."""
    secret = (Secret("qJ7xVb2mTz9wKp4L", "MY_KEY"),)
    text = f"{secret[0].reveal()[:short]} of it"
    assert redact(text, secret) == text


@pytest.mark.parametrize(
    "text",
    ["max_tokens must be less than 4096", "model gpt-4.1-mini does not exist", "rate limit reached",
     "the task-manager is busy", "http://[::1]:80/v1 or http://a.test:8000/@me", "context_length_exceeded: 8192 tokens"],
)  # fmt: skip
def test_ordinary_words_stay(text):
    assert redact(text) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_masking_twice_is_masking_once(text):
    secret = (Secret(KEY, "K"),)
    assert redact(redact(text, secret), secret) == redact(text, secret)


@pytest.mark.parametrize("name", ["api_key", "KEY", "x_secret", "password", "auth_token", "apikey"])
def test_parameters_that_would_carry_a_key_are_known(name):
    assert looks_secret(name, "x")
    with pytest.raises(ConfigError, match="api-key-env"):
        refuse_secret(name, KEY)


@pytest.mark.parametrize(
    "name", ["max_tokens", "prompt_tokens", "output_tokens", "keyboard", "monkey", "tokens",
             "api_key_env", "author", "rate"]
)  # fmt: skip
def test_other_parameters_are_not(name):
    assert not looks_secret(name, "x")


def test_a_name_in_a_cache_is_no_key_but_a_key_there_is_one():
    assert not looks_secret("prompt_cache_key", "a81bc81b-dead-4e5d-abff-90865d1e13b1")
    assert looks_secret("prompt_cache_key", "sk-0123456789abcdef01")
    assert looks_secret("cache_key", "a81bc81bdead4e5dabff90865d1e13b1")


@given(st.text())
def test_escaped_text_holds_no_markup_and_no_control(text):
    said = escape(text)
    assert not set(said) & set("<>\"'\x1b\u202e\u2066\x00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("a\u202eb", "a<U+202E>b"),
        ("a\u2028b\x85c", "a<U+2028>bc"),
        ("ok\tä\n", "ok\tä\n"),
        ("\ud800", "<U+D800>"),
        ("a\u200bb\u2060c\ufeffd", "a<U+200B>b<U+2060>c<U+FEFF>d"),
        ("a\u3164b\u115fc\u034fd", "a<U+3164>b<U+115F>c<U+034F>d"),
        ("\U000e0041\U000e0100\ufe01", "<U+E0041><U+E0100><U+FE01>"),
        ("slow \u26a0\ufe0f down", "slow \u26a0 down"),
        ("##vso[task.setvariable variable=x]y", "# #vso[task.setvariable variable=x]y"),
        ("x ##[add-mask]y ##teamcity[z]", "x # #[add-mask]y # #teamcity[z]"),
        ("#\x1b#vso[a]b", "# #vso[a]b"),
        ("::set-output name=a::b", ": :set-output name=a::b"),
        ("a\n \t::error::b\n::group::c", "a\n \t: :error::b\n: :group::c"),
        ("## a heading, ::1 and a::b", "## a heading, ::1 and a::b"),
    ],
)
def test_plain_text_fools_nobody(text, expected):
    assert plain(text) == expected


def test_long_names_are_cut_where_they_are_alike():
    names = {f"org/a-model-of-a-long-name-{end}" for end in ("fp8", "fp16", "instruct")}
    cut = {ends(name, 22) for name in names}
    assert {len(one) for one in cut} == {22}
    assert len(cut) == len(names)
    assert ends("sim/fast", 22) == "sim/fast"


def test_short_is_one_line_of_a_bounded_length():
    assert short("a\n b" * 1000, 20) == "a ba ba ba ba ba ba" + "…"


@given(st.text(), st.text())
def test_names_of_files_are_safe_and_stay_apart(one, other):
    name = file_name(one)
    assert len(name) <= 100
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert not name.startswith(".")
    if one != other and one.replace("/", "-") != other.replace("/", "-"):
        assert name != file_name(other) or one == other


@pytest.mark.parametrize(
    "text", ["../../etc/passwd", "CON", "nul.txt", "x" * 300, "", "..", "a\0b"]
)
def test_no_name_escapes_or_is_reserved(text):
    name = file_name(text)
    assert "/" not in name
    assert name not in {"", ".", "..", "CON", "nul.txt"}
