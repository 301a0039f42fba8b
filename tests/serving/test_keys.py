from __future__ import annotations

import hashlib

import pytest
from click.testing import CliRunner

from model.errors import ConfigError
from serving.commands import keys
from serving.keys import find_key, new_key, parse_keys


def test_a_key_is_found_among_several_and_a_wrong_one_is_not():
    key_a, kept_a = new_key("a")
    key_b, kept_b = new_key("b")
    assert find_key(key_a, [kept_a, kept_b]) == kept_a
    assert find_key(key_b, [kept_a, kept_b]) == kept_b
    assert find_key(key_a + "x", [kept_a, kept_b]) is None
    assert find_key(kept_a.digest, [kept_a]) is None
    assert find_key("", []) is None


def test_two_keys_are_never_the_same():
    assert new_key("a")[0] != new_key("a")[0]


@pytest.mark.parametrize("name", ["", "a:b", "a b", "ä", "-a", "a" * 65])
def test_a_name_that_would_break_the_setting_is_refused(name):
    with pytest.raises(ConfigError, match="a key's name"):
        new_key(name)


def test_the_command_prints_the_key_and_the_pair_that_belongs_into_the_setting():
    printed = CliRunner().invoke(keys, ["new", "shop"])
    assert printed.exit_code == 0
    key, pair = (line.split()[-1] for line in printed.stdout.splitlines())
    assert pair == f"shop:{hashlib.sha256(key.encode()).hexdigest()}"
    assert find_key(key, parse_keys(pair))
