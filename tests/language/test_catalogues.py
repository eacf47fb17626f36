"""Each sentence of code and notebooks is in each catalogue, translated, with all of its places."""

import re
import string

import pytest
from babel import Locale
from babel.messages.pofile import read_po

from holymon.formatting import per_cent
from holymon.language.catalogue import ENGLISH, FOLDER, LANGUAGES
from holymon.language.said import say
from tests.make_words import extracted

OTHERS = [language for language in LANGUAGES if language != ENGLISH]
FIX = "run python -m tests.make_words, then translate what is missing"


@pytest.fixture(scope="module")
def sentences():
    return {message.id for message in extracted() if message.id}


@pytest.fixture(scope="module", params=OTHERS)
def catalogue(request):
    with (FOLDER / f"{request.param}.po").open("rb") as file:
        return read_po(file, request.param)


def forms(message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


def fields(text: str) -> list[str]:
    """The places for values, with how each is written, in any order."""
    parsed = string.Formatter().parse(text)
    return sorted(f"{name}:{spec}" for _, name, spec, _ in parsed if name is not None)


def english(message) -> str:
    return message.id if isinstance(message.id, str) else message.id[-1]


def test_there_is_a_file_for_each_language_and_none_else():
    assert {path.stem for path in FOLDER.glob("*.po")} == set(OTHERS)


def test_no_sentence_is_missing_and_none_is_left_over(catalogue, sentences):
    known = {message.id for message in catalogue if message.id}
    assert sorted(map(str, sentences - known)) == [], FIX
    assert sorted(map(str, known - sentences)) == [], FIX


def test_every_sentence_is_translated(catalogue):
    missing = [message.id for message in catalogue if message.id and not all(forms(message))]
    assert missing == []
    assert [message.id for message in catalogue if message.id and message.fuzzy] == []


def test_each_translation_has_the_places_of_its_sentence(catalogue):
    """In the plural form; the singular one may do without its number."""
    assert [
        (english(message), text) for message in catalogue if message.id for text in forms(message)
        if "{" in english(message) and fields(text) != fields(english(message))
    ] == []  # fmt: skip


def test_each_has_as_many_forms_as_its_language(catalogue):
    plural = [message for message in catalogue if message.id and not isinstance(message.id, str)]
    assert len(plural) > 10
    assert {len(forms(message)) for message in plural} == {catalogue.num_plurals}


def test_each_language_has_one_way_to_write_a_percentage(catalogue):
    """English with a space, others as CLDR's pattern; objectives are code: `error_rate<1%`."""
    spaced = re.search(r"\s%", Locale.parse(catalogue.locale).percent_formats[None].pattern)
    signs = {True: r"(?<![<=])\b[\d.]+%|\}%|:\.\d%\}", False: r"[\d}]\s%"}
    texts = [(english(message), True) for message in catalogue if message.id]
    texts += [
        (text, bool(spaced)) for message in catalogue if message.id for text in forms(message)
    ]
    plain = [(re.sub(r"[a-z_0-9]+<=?[\d.]+%", "", text), has) for text, has in texts]
    assert [text for text, has in plain if re.search(signs[has], text)] == []
    assert (say("{x}", x=per_cent("5")), catalogue.get("{share} %").string) == ("5 %", "{share}%")


def test_each_begins_and_ends_as_its_sentence_does(catalogue):
    """Spaces, breaks and full stops: pieces are put one behind the other."""

    def ends(text):
        return re.match(r"\s*", text)[0], re.search(r"[.?:]?\s*$", text)[0]

    assert [
        (english(message), text) for message in catalogue if message.id for text in forms(message)
        if ends(text) != ends(english(message))
    ] == []  # fmt: skip


def test_a_new_sentence_that_nobody_translated_is_missed(tmp_path, catalogue):
    """What the first test is worth: the extractor sees each way in which a sentence is made."""
    from io import BytesIO

    from babel.messages.extract import extract

    from tests.make_words import of_code

    code = b'say("new", n=1); say_n(n, "{n} new", "{n} news"); heads("new head"); tell("told")\n'
    code += b'number_of(3, "new noun"); vocabulary("new word"); a.say("method"); say(not_a_text)'
    made = [message for _, message, _, _ in extract(of_code, BytesIO(code))]
    assert made == [
        "new", ("{n} new", "{n} news"), "new head", "told", ("{n:,} new noun", "{n:,} new nouns"),
        "new word", "method",
    ]  # fmt: skip
    assert not any(catalogue.get(each if isinstance(each, str) else each[0]) for each in made)
