"""JSON at the border, read strictly and always written as valid UTF-8.

Python's reader takes more than JSON is: NaN, keys given twice, numbers that overflow. Its writer
can leave half a surrogate pair that no UTF-8 can hold. Neither may reach a caller.
"""

from __future__ import annotations

import json
import math
from typing import Any

# Deep enough for any real export, and far from the interpreter's own limit.
MAX_DEPTH = 64


def read_json(raw: bytes | str) -> Any:
    """Return the value; an escape of half a surrogate pair is let through as it is.

    Raises `ValueError` with one line that quotes nothing of the text.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except UnicodeDecodeError as problem:
        raise ValueError(f"is not UTF-8 (byte {problem.start})") from None
    except json.JSONDecodeError as problem:
        raise ValueError(
            f"is not valid JSON (line {problem.lineno}, column {problem.colno})"
        ) from None
    except RecursionError:
        raise ValueError(f"is nested deeper than {MAX_DEPTH} levels") from None
    _check_depth(value)
    return value


def write_json(value: Any) -> bytes:
    """Return compact JSON in UTF-8; text that UTF-8 cannot hold makes the whole answer ASCII."""
    try:
        return _dumps(value, ascii_only=False).encode("utf-8")
    except UnicodeEncodeError:
        return _dumps(value, ascii_only=True).encode("ascii")


def _dumps(value: Any, *, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, allow_nan=False, separators=(",", ":"))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("has an object with the same key twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"holds {name}, which is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("holds a number that is out of range")
    return number


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        # Python refuses to read integers of thousands of digits.
        raise ValueError("holds a number that is out of range") from None


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
