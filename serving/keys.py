"""Keys for the API: made once, kept only as a digest, compared in constant time.

A key holds 256 random bits, so a plain SHA-256 of it is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from model.errors import ConfigError

# So that a leaked key is recognised by its look, by people and by secret scanners.
PREFIX = "echolot_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A caller's name and the SHA-256 of its key, in lower-case hexadecimal."""

    name: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name}:{self.digest}"


def new_key(name: str) -> tuple[str, ApiKey]:
    """Return a fresh key and what to keep of it; raises `ConfigError` for an unusable name."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"a key's name starts with a letter or digit and holds letters, digits, '.', '_' and"
            f" '-' only, 64 at most; not {name!r}"
        )
    key = PREFIX + secrets.token_urlsafe(32)
    return key, ApiKey(name=name, digest=_digest(key))


def parse_keys(text: str) -> tuple[ApiKey, ...]:
    """Read `name:sha256` pairs with commas or spaces between.

    Raises `ValueError` that counts to the wrong entry and never repeats it: it may be a key.
    """
    keys: list[ApiKey] = []
    for place, entry in enumerate(text.replace(",", " ").split(), start=1):
        name, _, digest = entry.partition(":")
        if not _NAME.fullmatch(name) or not _DIGEST.fullmatch(digest.lower()):
            raise ValueError(
                f"entry {place} is no name:sha256 pair; make one with 'echolot keys new NAME'"
            )
        if name in {key.name for key in keys}:
            raise ValueError(f"entry {place} uses the name {name!r} again; each key needs its own")
        keys.append(ApiKey(name=name, digest=digest.lower()))
    return tuple(keys)


def find_key(presented: str, keys: Sequence[ApiKey]) -> ApiKey | None:
    """Return the key that was presented; every kept digest is compared, whichever fits."""
    digest = _digest(presented)
    found = None
    for key in keys:
        if hmac.compare_digest(key.digest, digest):
            found = key
    return found


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
