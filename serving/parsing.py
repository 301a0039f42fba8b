"""One raw record into a `Comment`, or into a `Failure` of its own: for the API and files alike.

Lenient where an export carries more than is needed (unknown fields), strict where a wrong value
would give a wrong answer. No message repeats what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from model.errors import InvalidComment
from model.records import Comment, Failure

# No customer writes this much; whatever it is, it is no comment.
MAX_COMMENT_CHARACTERS = 1_000_000
MAX_ID_CHARACTERS = 200
_TAG = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{1,8})*")
# ISO 639-2 and 639-3 codes of the languages that have a shorter one in ISO 639-1.
_SHORT = {"deu": "de", "ger": "de", "eng": "en"}
# What stands for "not known" in a language tag.
_UNKNOWN = {"", "und", "other"}


def comment_id(raw: object, *, position: int) -> str:
    """Return the id of the answer: the record's own if it has a usable one, else its position."""
    value = raw.get("id") if isinstance(raw, Mapping) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARACTERS:
        return value
    return str(position)


def parse_comment(raw: object, *, position: int) -> Comment | Failure:
    """Return the comment that `raw` (a JSON value) holds, or why it holds none."""
    try:
        return _comment(raw, position=position)
    except InvalidComment as problem:
        return Failure(code=problem.code, message=str(problem))


def _comment(raw: object, *, position: int) -> Comment:
    if not isinstance(raw, Mapping):
        raise InvalidComment(f"a comment is an object, not {_kind(raw)}")
    _check_id(raw.get("id"))
    return Comment(
        id=comment_id(raw, position=position),
        text=_text(raw.get("comment")),
        language=_language(raw.get("language")),
        score=_score(raw.get("score")),
        touchpoint=_string(raw.get("touchpoint"), field="touchpoint"),
        properties=_properties(raw.get("properties")),
    )


def _check_id(value: object) -> None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        number = "" if value is None else str(value)
    elif isinstance(value, str):
        number = value
    else:
        raise InvalidComment(f"id must be a string or a whole number, not {_kind(value)}")
    if len(number) > MAX_ID_CHARACTERS:
        raise InvalidComment(
            f"id has {len(number)} characters; {MAX_ID_CHARACTERS} at most are allowed"
        )


def _text(value: object) -> str:
    text = _string(value, field="comment") or ""
    if len(text) > MAX_COMMENT_CHARACTERS:
        raise InvalidComment(
            f"comment has {len(text)} characters; more than {MAX_COMMENT_CHARACTERS} is no comment"
        )
    return text


def _score(value: object) -> int | None:
    if value is None:
        return None
    # Exports write whole numbers as 9.0 as well.
    whole = value.is_integer() if isinstance(value, float) else isinstance(value, int)
    if not whole or isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidComment(f"score must be a whole number from 0 to 10, not {_kind(value)}")
    if not 0 <= value <= 10:
        raise InvalidComment("score must be a whole number from 0 to 10; this one is out of range")
    return int(value)


def _language(value: object) -> str | None:
    tag = (_string(value, field="language") or "").strip()
    if tag.lower() in _UNKNOWN:
        return None
    found = _TAG.fullmatch(tag)
    if not found:
        raise InvalidComment("language must be a tag like 'de', 'en' or 'de-AT'")
    language = found[1].lower()
    return _SHORT.get(language, language)


def _properties(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    # Survey tools also export them as a list of {"name": ..., "value": ...}.
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return {str(item["name"]): item.get("value") for item in value if "name" in item}
    raise InvalidComment(f"properties must be an object, not {_kind(value)}")


def _string(value: object, *, field: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise InvalidComment(f"{field} must be a string or null, not {_kind(value)}")


def _kind(value: object) -> str:
    names: dict[type, str] = {
        type(None): "null",
        bool: "true or false",
        int: "a number",
        float: "a number with a fraction",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "something else")
