"""The errors of Echolot: each says what, which one, and what would have been right.

Every error that a user or a caller can mend is an `EcholotError`; the command line prints it as
one line and exits with 2, the API maps it to a status in one place. No error holds the text of a
comment.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class EcholotError(Exception):
    """Something that the user can mend; `str(error)` is one line that says how."""

    code = "error"


class TaxonomyError(EcholotError):
    """The taxonomy file does not hold together."""

    code = "taxonomy"


class RoutingError(EcholotError):
    """The routing file does not hold together, or does not fit the taxonomy."""

    code = "routing"


class KeywordsError(EcholotError):
    """A keyword file does not hold together, or does not fit the taxonomy."""

    code = "keywords"


class ArtifactError(EcholotError):
    """A model folder is missing, damaged, or does not fit the taxonomy."""

    code = "artifact"


class ConfigError(EcholotError):
    """A run file or a setting is wrong."""

    code = "config"


class DataError(EcholotError):
    """A data file cannot be read, or a record in it breaks the rules."""

    code = "data"


class InvalidComment(EcholotError):
    """One comment cannot be read as a comment; its neighbours are not touched."""

    code = "invalid_comment"


class MissingExtra(EcholotError):
    """An optional part is needed and not installed."""

    code = "missing_extra"

    def __init__(self, extra: str, *, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the extra {extra!r}: pip install -c constraints.txt '.[{extra}]'"
        )


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Return what would have been right instead of `wrong`, as the end of a sentence."""
    names = sorted(known)
    close = get_close_matches(wrong, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known are: " + (", ".join(names) or "none")
