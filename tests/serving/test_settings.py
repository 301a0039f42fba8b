from __future__ import annotations

import os

import pytest
from pydantic import ValidationError

from model.errors import ConfigError
from serving.keys import new_key
from serving.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("ECHOLOT_"):
            monkeypatch.delenv(name)


def test_every_setting_has_a_safe_default():
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.max_comments == 1000
    assert settings.max_characters == 10_000
    assert settings.max_body_bytes == 16 * 2**20
    assert settings.api_keys == ()
    assert settings.threads >= 1


def test_every_setting_says_what_it_is():
    assert all(field.description for field in Settings.model_fields.values())


def test_settings_are_read_from_the_environment_and_frozen(monkeypatch):
    monkeypatch.setenv("ECHOLOT_PORT", "9000")
    monkeypatch.setenv("ECHOLOT_LOG_LEVEL", "WARNING")
    monkeypatch.setenv("ECHOLOT_MODEL", "")
    settings = load_settings()
    assert (settings.port, settings.log_level, settings.model) == (9000, "warning", None)
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("ECHOLOT_PROT", "1", "unknown setting ECHOLOT_PROT; did you mean 'ECHOLOT_PORT'?"),
        ("ECHOLOT_APIKEY", "x", "did you mean 'ECHOLOT_API_KEYS'?"),
        ("ECHOLOT_PORT", "tcp://10.0.0.1:80", "ECHOLOT_PORT: Input should be a valid integer"),
        ("ECHOLOT_PORT", "70000", "ECHOLOT_PORT: Input should be less than or equal to 65535"),
        ("ECHOLOT_MAX_COMMENTS", "0", "ECHOLOT_MAX_COMMENTS: Input should be greater than"),
        ("ECHOLOT_LOG_LEVEL", "loud", "ECHOLOT_LOG_LEVEL: Input should be 'debug'"),
        ("ECHOLOT_API_KEYS", "shop", "ECHOLOT_API_KEYS: entry 1 is no name:sha256 pair"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(monkeypatch, name, value, line):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as problem:
        load_settings()
    assert line in str(problem.value)
    assert "\n" not in str(problem.value)


def test_several_keys_are_read_and_a_name_is_used_once(monkeypatch):
    old, new = (new_key(name)[1] for name in ("shop-2025", "shop-2026"))
    monkeypatch.setenv("ECHOLOT_API_KEYS", f"{old}, {new}")
    assert load_settings().api_keys == (old, new)
    monkeypatch.setenv("ECHOLOT_API_KEYS", f"{old},{old}")
    with pytest.raises(ConfigError, match="uses the name 'shop-2025' again"):
        load_settings()


def test_a_wrong_key_is_not_repeated_in_the_error(monkeypatch):
    monkeypatch.setenv("ECHOLOT_API_KEYS", "shop:s3cret-in-clear")
    with pytest.raises(ConfigError) as problem:
        load_settings()
    assert "s3cret" not in str(problem.value)
