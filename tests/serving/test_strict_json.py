from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.strict_json import MAX_DEPTH, read_json, write_json

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda children: (
        st.lists(children)
        | st.dictionaries(st.text(st.characters(exclude_categories=())), children)
    ),
    max_leaves=15,
)


@given(anything)
@settings(deadline=None)
def test_what_is_written_is_utf_8_and_reads_back_as_the_same(value):
    # Two halves side by side are one character in JSON, so compare after a round of Python's own.
    assert read_json(write_json(value)) == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"{", "is not valid JSON (line 1, column 2)"),
        (b"", "is not valid JSON"),
        (b"\xff{}", "is not UTF-8 (byte 0)"),
        (b'"\xed\xa0\x80"', "is not UTF-8 (byte 1)"),
        (b'{"a": NaN}', "holds NaN"),
        (b"[-Infinity]", "holds -Infinity"),
        (b"[1e999]", "out of range"),
        (b"[" + b"9" * 5000 + b"]", "out of range"),
        (b'{"a": 1, "a": 2}', "the same key twice"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "nested deeper"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "nested deeper"),
    ],
)
def test_what_is_no_json_is_refused_with_the_reason(raw, problem):
    with pytest.raises(ValueError, match=r"^(is|holds|has) ") as refused:
        read_json(raw)
    assert problem in str(refused.value)


def test_nesting_up_to_the_limit_is_read():
    assert read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_umlauts_stay_readable_and_half_a_pair_makes_the_answer_ascii():
    assert write_json({"a": "Größe"}) == '{"a":"Größe"}'.encode()
    assert write_json(["Größe", "\ud800"]) == rb'["Gr\u00f6\u00dfe","\ud800"]'
