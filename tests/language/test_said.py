"""Sentences: English as strings, another language where they are shown, one for each context."""

import copy
import json
import pickle
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.formatting import Table, count, element, ms, number_of, percent, rounded
from holymon.language.said import (
    glued,
    heads,
    language,
    listed,
    say,
    say_n,
    shown,
    speaking,
    tell,
    without_stop,
)
from holymon.structs import plain_text

FAILED = say("{failed:,} of {calls:,} calls failed", failed=1234, calls=20000)
VIETNAMESE = "1.234 trong 20.000 lượt gọi thất bại"


def test_a_sentence_is_its_english_whatever_is_done_with_it():
    assert FAILED == "1,234 of 20,000 calls failed"
    assert json.dumps(FAILED) == f'"{FAILED}"'
    assert msgspec.json.decode(msgspec.json.encode([FAILED], enc_hook=plain_text)) == [FAILED]
    assert {FAILED: 1}[str(FAILED)] == 1
    assert f"{FAILED}." == "1,234 of 20,000 calls failed."


@pytest.mark.parametrize("copied", [copy.deepcopy(FAILED), pickle.loads(pickle.dumps(FAILED))])
def test_a_copy_can_still_be_shown(copied):
    with speaking("vi"):
        assert shown(copied) == VIETNAMESE


def test_english_is_what_is_shown_unless_another_language_is_spoken():
    assert shown(FAILED) == str(FAILED)
    with speaking("vi"):
        assert language() == "vi"
        assert shown(FAILED) == VIETNAMESE
        assert tell("never") == "vô hạn"
    assert language() == "en"


def test_two_documents_at_a_time_do_not_mix():
    seen = {}
    begun = threading.Barrier(2)

    def make(name):
        with speaking(name):
            begun.wait()
            seen[name] = shown(FAILED)

    threads = [threading.Thread(target=make, args=[name]) for name in ("en", "vi")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"en": str(FAILED), "vi": VIETNAMESE}


def test_numbers_have_a_decimal_comma_and_points_between_thousands():
    with speaking("vi"):
        assert shown(ms(1.2345)) == "1.234"
        assert shown(ms(0.0123)) == "12,3"
        assert shown(percent(0.0123)) == "1,2%"
        assert shown(count(12345)) == "12.345"
        assert shown(rounded(0.5)) == "0,5"
        assert shown("openai/gpt-6.1, 2 of 3") == "openai/gpt-6.1, 2 of 3"  # no number of ours


def test_what_is_put_together_of_sentences_is_shown_piece_by_piece():
    pieces = [say("never"), "openai/gpt-6.1", count(1000)]
    with speaking("vi"):
        assert shown(glued(*pieces)) == "vô hạnopenai/gpt-6.11.000"
        assert shown(listed("; ", pieces)) == "vô hạn; openai/gpt-6.1; 1.000"
        assert shown("a: " + say("never") + ".") == "a: vô hạn."
        assert shown(say("never") * True) == "vô hạn"
        assert shown(say("never") * False) == ""
        assert (
            shown(say("no {lacking}: {why}.", lacking="p99", why=say("never")))
            == "không có p99: vô hạn."
        )


def test_a_sentence_may_be_a_clause_of_another():
    assert without_stop(say("no run has figures yet.")) == "no run has figures yet"
    assert without_stop("no run has figures yet.") == "no run has figures yet"


def test_english_has_two_forms_and_vietnamese_one():
    assert [number_of(n, "call") for n in (0, 1, 2)] == ["0 calls", "1 call", "2 calls"]
    with speaking("vi"):
        assert [shown(number_of(n, "call")) for n in (1, 2000)] == ["1 lượt gọi", "2.000 lượt gọi"]
        both = (
            ", and no percentile differs without it",
            ", and no percentile differs without them",
        )
        assert shown(say_n(1, *both)) == ", và không phân vị nào khác đi nếu không tính số đó"


def test_tables_and_pages_are_shown_and_escaped():
    table = Table(heads("calls"), [(count(1000),)], lead=(say("{text}: can't be judged, there is no such figure", text="<b>"),))  # fmt: skip
    with speaking("vi"):
        assert "lượt gọi" in table.text()
        assert "1.000" in table.html()
        assert "&lt;b&gt;: không xét được" in table.html()
        assert element("p", say("never"), title=say("never")) == '<p title="vô hạn">vô hạn</p>'
    assert "calls" in table.text()


def test_what_no_catalogue_knows_stays_english():
    with speaking("vi"):
        assert tell("nobody has translated {this}", this=1) == "nobody has translated 1"
        assert tell("prose of {yours} with braces }") == "prose of {yours} with braces }"


@given(st.text() | st.text(alphabet="{}%!:[]0an()s$. r", min_size=1))
def test_what_a_server_says_is_no_template_in_any_language(words):
    inner = say("{words} (x)", words=words)
    sentences = (say("{a}: {n}", a=words, n=2), say("{a}; {b}", a=inner, b=words),
                 glued(words, inner), say_n(2, "{n} {a}", "{n} {a}s", a=words))  # fmt: skip
    for lang in ("en", "vi"):
        with speaking(lang):
            for sentence in sentences:
                assert words in shown(sentence)
