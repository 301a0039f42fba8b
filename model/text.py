"""The text of a comment: cleaned with a way back to the original, and its words.

Everything here takes any string, lone surrogates included, and time in proportion to its length.
`words` expects cleaned text. Offsets count Unicode code points, ends excluded.
"""

from __future__ import annotations

import html
import re
import string
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

# Pictographs. Arrows, stars and signs that are text by default count with U+FE0F only.
_BASE = (
    "(?:[\u231a-\u231b\u23e9-\u23fa\u2600-\u27bf\u2b1b\u2b1c\u2b50\u2b55\U0001f004\U0001f0cf"
    "\U0001f170-\U0001f19a\U0001f201-\U0001f265\U0001f300-\U0001f3fa\U0001f400-\U0001faff]"
    "|[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u25ff\u2934\u2935\u2b00-\u2bff\u3030\u303d\u3297\u3299]"
    "(?=\ufe0f))"
)
_MODIFIER = "[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
EMOJI = (
    f"(?:[\U0001f1e6-\U0001f1ff]{{1,2}}|[0-9#*]\ufe0f?\u20e3"
    f"|{_BASE}{_MODIFIER}*(?:[\u200c\u200d]{_BASE}{_MODIFIER}*)*|[\U0001f3fb-\U0001f3ff])"
)
_EMOJI_SEQUENCE = re.compile(EMOJI)

# --- cleaning --------------------------------------------------------------------------------

# Text that cleaning leaves as it is: no mark-up or controls, composed Latin letters, single spaces.
_UNPLAIN = re.compile(
    r"\A | \Z|  |[^ -%'-;=-~\u00a1-\u00ac\u00ae-\u017f\u2013\u2014\u2018-\u201e\u2022\u2026\u20ac]"
)
_MARKUP = re.compile(
    r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});|</?[bB][rR]\s{0,8}/?>"
)
_DROPPED = {"Cc", "Cf", "Cs"}
SHOUT, SHOUT_LETTERS = 0.9, 4  # share of capitals, and letters, from which a text is shouted
_SMALL = string.ascii_lowercase.encode()
# Stream-safe text has at most 30 marks on a letter (UAX 15); longer runs take square time.
MAX_MARKS = 30


@dataclass(frozen=True, slots=True)
class CleanText:
    """A cleaned text: character i was made of `original[starts[i]:ends[i]]`."""

    original: str
    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the offsets in the original of the characters `text[start:end]`.

        Raises `ValueError` for a span that does not lie in the text.
        """
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(
                f"span {start}..{end} lies outside a text of {len(self.text)} characters"
            )
        if start < end:
            return self.starts[start], self.ends[end - 1]
        place = (
            self.starts[start] if start < len(self.text) else (self.ends[-1] if self.text else 0)
        )
        return place, place


class _Piece(NamedTuple):
    """Cleaned characters with the stretch of the original that they came from."""

    text: str
    start: int
    end: int


def clean(text: str) -> CleanText:
    """Return the text composed (NFC), without mark-up and controls, white-space runs as one space.

    HTML entities and `<br>` are resolved once; control and format characters and lone surrogates
    are dropped, joiners inside an emoji kept. Case, punctuation and umlauts stay. The result can
    always be encoded as UTF-8 and may be empty.
    """
    if _UNPLAIN.search(text) is None:
        return CleanText(text, text, range(len(text)), range(1, len(text) + 1))
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    space: _Piece | None = None
    for piece in _clusters(_visible(_unescaped(text))):
        if piece.text.isspace():
            space = _Piece(" ", space.start if space else piece.start, piece.end)
            continue
        for part in (space, piece) if space and out else (piece,):
            out.append(part.text)
            starts += [part.start] * len(part.text)
            ends += [part.end] * len(part.text)
        space = None
    return CleanText(text, "".join(out), tuple(starts), tuple(ends))


def calm(text: str) -> str:
    """Return a text that is shouted in lower case, any other as it is; the length stays the same.

    For whatever reads word pieces: few of those that it learnt from are capitals. A character whose
    small form is longer is left alone, so that offsets hold.
    """
    # Nearly every text has more small letters than a shouted one may have, and that is soon seen.
    encoded = text.encode("utf-8", "ignore")
    if 2 * (1 - SHOUT) * len(text) < len(encoded) - len(encoded.translate(None, _SMALL)):
        return text
    letters = [char for char in text if char.isalpha()]
    if len(letters) < SHOUT_LETTERS or sum(map(str.isupper, letters)) < SHOUT * len(letters):
        return text
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def _unescaped(text: str) -> Iterator[_Piece]:
    """Yield single characters; those of an entity or a `<br>` all carry its whole stretch."""
    place = 0
    for match in _MARKUP.finditer(text):
        yield from (_Piece(text[i], i, i + 1) for i in range(place, match.start()))
        meant = " " if match[0][0] == "<" else html.unescape(match[0])
        if meant == match[0]:  # no entity of that name
            yield from (_Piece(text[i], i, i + 1) for i in range(*match.span()))
        else:
            yield from (_Piece(char, *match.span()) for char in meant)
        place = match.end()
    yield from (_Piece(text[i], i, i + 1) for i in range(place, len(text)))


def _visible(pieces: Iterator[_Piece]) -> Iterator[_Piece]:
    """Yield what is not dropped; what belongs to an emoji is kept whatever its category."""
    every = list(pieces)
    text = "".join(piece.text for piece in every)
    emoji = bytearray(len(text))
    for match in _EMOJI_SEQUENCE.finditer(text):
        emoji[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    for piece, in_emoji in zip(every, emoji, strict=True):
        if in_emoji or piece.text.isspace() or not _is_dropped(piece.text):
            yield piece


def _is_dropped(char: str) -> bool:
    return char in "\ufe0e\ufe0f" or unicodedata.category(char) in _DROPPED


def _clusters(pieces: Iterator[_Piece]) -> Iterator[_Piece]:
    """Yield each base character composed with its marks; nothing composes across these borders."""
    cluster: list[_Piece] = []
    for piece in pieces:
        if cluster and not _attaches(piece.text, before=cluster[-1].text):
            yield _composed(cluster)
            cluster = []
        cluster.append(piece)
    if cluster:
        yield _composed(cluster)


def _composed(cluster: list[_Piece]) -> _Piece:
    text = "".join(piece.text for piece in cluster[: MAX_MARKS + 1])
    return _Piece(unicodedata.normalize("NFC", text), cluster[0].start, cluster[-1].end)


def _attaches(char: str, *, before: str) -> bool:
    """Tell whether a character may compose with the one before: a mark, or a part of a syllable."""
    if char < "\u0300":
        return False
    if unicodedata.category(char)[0] == "M":
        return not before.isspace()
    if "\u1161" <= char <= "\u11c2":  # vowels and finals of Hangul
        return "\u1100" <= before <= "\u11c2" or "\uac00" <= before <= "\ud7a3"
    return char in "\U00016d63\U00016d67" and before in "\U00016d63\U00016d67"  # Kirat Rai


# --- words -----------------------------------------------------------------------------------

_MARK = "\u0300"  # stands for every combining mark, for which `re` has no class
_DASHES = "\u2010\u2011\u2013\u2014"
_BEYOND = re.compile("[\u0300-\U0010ffff]")
_MARKS = f"[{_MARK}\ufe0e\ufe0f\u20e3]"
_RUN = f"[^\\W_](?:[^\\W_]|{_MARKS})*+"
_INNER = (
    "(?:['\u2019\xb4`&_\u2010\u2011-]"  # geht's, E-Mail, H&M
    r"|(?<=\d)[.,:](?=\d)"  # 12.50, 18:30, 3.5.2021
    r"|[:*](?=in(?:nen)?\b)"  # Mitarbeiter:innen
    r"|\.(?=(?:[\w-]{1,40}\.)?(?:de|com|at|ch|net|org|eu|co|uk|io|app)\b))"  # shop.example.com
)
_WORD = re.compile(
    r"(?:(?:https?://|www\.)\S*[^\s.,;:!?)\]\"']|[\w.+-]{1,64}@[\w-]+\.[\w.-]*\w"
    f"|{EMOJI}"
    r"|[€$£¥] ?\d++(?:[.,]\d++)*+[a-zäöüß]*"
    rf"|\d++(?:[.,]\d++)*+(?:,[-{_DASHES}]{{1,2}})? ?[€$£¥%‰°][a-zäöüß]*"
    f"|{_RUN}(?:{_INNER}{_RUN})*+){_MARKS}*"
)


def words(text: str) -> list[tuple[int, int]]:
    """Return the spans of the words: letters and digits with what joins them, amounts, emoji.

    A currency or percent sign belongs to its number, the address of a page or a mailbox is one
    word, an emoji with its joiners is one. Punctuation belongs to no word; no span cuts a mark from
    its letter.
    """
    shape = text if text.isascii() else _BEYOND.sub(_shape, text)
    return [match.span() for match in _WORD.finditer(shape)]


def _shape(match: re.Match[str]) -> str:
    char = match[0]
    if char in "\ufe0e\ufe0f\u20e3" or unicodedata.category(char)[0] != "M":
        return char
    return _MARK


# --- word lists -------------------------------------------------------------------------------


@cache
def word_lists(section: str) -> dict[str, frozenset[str]]:
    """Return the lists of a section of `wordlists.toml` by name."""
    table = tomllib.loads((files("model") / "wordlists.toml").read_text("utf-8"))[section]
    return {name: frozenset(words.split()) for name, words in table.items()}
