"""Prompts come from a file line by line, or are made to a length, the same ones for a seed."""

import pytest

from holymon.errors import ConfigError, PlanError
from holymon.plan import given_file, prompts


def test_a_line_is_a_string_or_an_object_with_a_prompt(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('"one"\n{"prompt": "two", "id": 3}\n\n{"text": "three"}\n')
    assert prompts.from_file(path) == ("one", "two", "three")


def test_line_separators_inside_a_prompt_are_text(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('"one\u2028two\x85three"\n', encoding="utf-8")
    assert prompts.from_file(path) == ("one\u2028two\x85three",)


@pytest.mark.parametrize("line", ["not json", "3", "[]", '{"prompt": 3}', '""', "{}"])
def test_a_line_that_is_no_prompt_is_named(tmp_path, line):
    path = tmp_path / "p.jsonl"
    path.write_text(f'"fine"\n{line}\n')
    with pytest.raises(PlanError, match="line 2"):
        prompts.from_file(path)


def test_a_file_without_prompts_or_without_access_is_one_sentence(tmp_path):
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(PlanError, match="holds no prompt"):
        prompts.from_file(tmp_path / "empty")
    with pytest.raises(ConfigError, match="can't read prompts"):
        prompts.from_file(tmp_path / "missing")


def test_synthetic_prompts_have_the_length_and_differ():
    made = prompts.synthetic(50, seed=1)
    assert {len(text.split()) for text in made} == {50}
    assert len(set(made)) == prompts.VARIETY
    assert made == prompts.synthetic(50, seed=1)
    assert made != prompts.synthetic(50, seed=2)


def test_a_mark_of_utf_8_at_the_beginning_is_no_part_of_a_prompt(tmp_path):
    (tmp_path / "p.jsonl").write_text('"one"\n', "utf-8-sig")
    assert prompts.from_file(tmp_path / "p.jsonl") == ("one",)


def test_a_prompt_has_at_least_one_token_and_at_most_a_million():
    assert len(prompts.synthetic(1)[0].split()) == 1
    for wrong in (0, 1_000_001):
        with pytest.raises(PlanError, match=f"prompt_tokens is {wrong}"):
            prompts.synthetic(wrong)
    assert len(prompts.synthetic(3)) == 64


def test_a_line_that_is_no_prompt_is_told_from_one_that_is_no_json(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('\n"one"\n{oops\n')
    with pytest.raises(PlanError, match="line 3 is not JSON"):
        prompts.from_file(path)
    path.write_text('{"prompt": "first", "text": "second"}\n{"text": ""}')
    with pytest.raises(PlanError, match="line 2 holds no prompt"):
        prompts.from_file(path)
    path.write_text('{"prompt": "first", "text": "second"}\n')
    assert prompts.from_file(path) == ("first",)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "p.jsonl"
    with path.open("wb") as file:
        file.truncate(given_file.MOST_BYTES + 1)
    with pytest.raises(ConfigError, match="is over 268435456 bytes"):
        prompts.from_file(path)
