"""Targets are found by name, the user's file extends the packaged one, keys are never in a file."""

import pytest

from holymon.errors import ConfigError, PlanError
from holymon.plan import targets
from holymon.plan.plan import Target


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(targets.FILE_ENV, raising=False)
    return tmp_path


def test_the_packaged_targets_are_these():
    assert list(targets.providers()) == [
        "sim", "holysheep", "openai", "anthropic", "gemini", "openrouter", "deepseek", "groq",
        "mistral", "xai", "together", "fireworks", "cohere", "holysheep-messages", "llamacpp",
        "ollama", "lmstudio", "local",
    ]  # fmt: skip


def test_holysheep_is_known_with_address_key_name_and_dated_price():
    found = targets.target("holysheep/gpt-4.1")
    assert (found.base_url, found.api_key_env) == (
        "https://api.holysheep.ai/v1", "HOLYSHEEP_API_KEY",
    )  # fmt: skip
    assert found.price.output == 8.0
    assert found.price.input is None, "not known is not free"
    assert found.price.source
    assert found.price.date


def test_every_packaged_price_says_where_and_when_it_was_read():
    for provider, about in targets.providers().items():
        for model in about.get("models", {}):
            price = targets.target(f"{provider}/{model}").price
            assert price.source, f"{provider}/{model}"
            assert price.date, f"{provider}/{model}"


def test_a_model_that_is_not_listed_can_be_called_but_has_no_price():
    found = targets.target("openai/some/new:model")
    assert found.model == "some/new:model"
    assert found.price.output is None


def test_the_users_file_extends_and_wins(elsewhere):
    (elsewhere / "targets.toml").write_text(
        '[mine]\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[openai]\napi_key_env = "OTHER"\n[openai.models.m]\ninput = 1.0\noutput = 2.0\n'
    )
    assert targets.target("mine/x") == Target(
        provider="mine", model="x", base_url="http://127.0.0.1:9/v1"
    )
    found = targets.target("openai/m")
    assert (found.api_key_env, found.base_url) == ("OTHER", "https://api.openai.com/v1")
    assert (found.price.input, found.price.output) == (1.0, 2.0)
    assert targets.target("openai/gpt-4.1").price.output == 8.0


def test_an_environment_variable_may_say_where_the_file_is(elsewhere, monkeypatch):
    (elsewhere / "other.toml").write_text('[mine]\nbase_url = "http://127.0.0.1:9/v1"\n')
    monkeypatch.setenv(targets.FILE_ENV, "other.toml")
    assert targets.target("mine/x").provider == "mine"


@pytest.mark.parametrize("endpoint", ["chat", "messages", "responses"])
def test_a_provider_may_speak_another_dialect(elsewhere, endpoint):
    (elsewhere / "targets.toml").write_text(
        f'[mine]\nbase_url = "http://h/v1"\nendpoint = "{endpoint}"\n'
    )
    assert targets.target("mine/x").endpoint == endpoint


@pytest.mark.parametrize("name", ["nothing", "nobody/x", "sim/none", "openai/", "/x", "sim"])
def test_an_unknown_target_is_one_sentence_with_the_known_ones(name):
    with pytest.raises(PlanError, match=r"sim|fast"):
        targets.target(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mine", "not TOML"),
        ("mine = 3", "must be a table"),
        ("[mine]\nbase_url = 3", "mine.*base_url"),
        ('[mine]\nbase_url = "ftp://x"', "base_url"),
        ('[mine]\nbase_uri = "http://x"', "no setting 'base_uri'"),
        (
            '[mine]\nendpoint = "chats"',
            "mine.*targets.toml: endpoint 'chats' is none: name one of chat, m",
        ),
        ("[mine]\nendpoint = 3", "mine.*endpoint"),
        ('[mine]\nbase_url = "http://h/v1"\n[mine.models.x]\nprice = 3', "price"),
        ('[mine]\nbase_url = "http://h/v1"\n[mine.models.x]\noutput = "8"', "output"),
        ('[mine]\napi_key_env = "sk-secret-value-123456"', "api_key_env"),
        ('[mine]\napi_key = "sk-secret-value-123456"', "environment variable"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_the_place(elsewhere, text, said):
    (elsewhere / "targets.toml").write_text(text)
    with pytest.raises((ConfigError, PlanError), match=f"(?s){said}") as caught:
        targets.target("mine/x")
    assert "secret-value" not in str(caught.value)


def test_a_file_that_is_named_and_not_there_is_said(monkeypatch):
    monkeypatch.setenv(targets.FILE_ENV, "nowhere.toml")
    with pytest.raises(ConfigError, match=r"can't read nowhere\.toml"):
        targets.target("sim/fast")


def test_the_simulators_name_is_for_the_simulator(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets.toml").write_text("[sim]\nbase_url = 'http://127.0.0.1:9/v1'\n")
    with pytest.raises(ConfigError, match="give your server another name"):
        targets.target("sim/fast")
