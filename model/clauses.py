"""The clauses of a comment in German or English, by rules and word lists.

Takes any cleaned text (`model/text.py`) in time in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

from model.text import EMOJI, word_lists, words

_EMOTICON = r"[:;=]-?[()\[\]|/\\*]+"
_CLOSERS = "\"'\u201c\u201d\u2019\xbb\xab)\\]"
_END = re.compile(
    f"(?P<mark>[.!?\u2026]+|{EMOJI}|{_EMOTICON})(?:\\s*(?:[{_CLOSERS}]|{_EMOTICON}|{EMOJI}))*"
)
_SEMICOLON = re.compile(r";(?!-?[()\[\]|/\\*])")
_DASH = re.compile(r"\s[-\u2013\u2014]+(?=\s)|\u2014|--+")
_PAUSE = re.compile(r"[.!?\u2026,;:\u2013\u2014]|\s-+\s")
_CONTRAST_PAIRS = frozenset({("leider", "nur"), ("nur", "leider"), ("even", "though")})
_VERB_SHAPE = re.compile(
    r"n['\u2019]t$|['\u2019](?:s|m|re|ve|ll|d)$|\w\wier(?:t|te|en)$|^ge\w\w+t$|\w\wed$"
)
Span = tuple[int, int]
# Words of which it is known whether they are verbs, and their length: customers use the same ones.
WORDS_KEPT, LONGEST_KEPT = 20_000, 40
MIN_CLAUSE = 3  # words on either side of a comma that may part two clauses


def clauses(text: str, of_words: Sequence[Span] | None = None) -> list[Span]:
    """Return the spans of the clauses in order; together they cover all but white space.

    `of_words` are those of the text (`model.text.words`), for a caller who has them already.

    Rules for German and English: ends of sentences, semicolons, dashes, words of contrast, and
    commas between parts that look like clauses. Each clause holds a word, unless the text has none
    (an emoji stays with the clause before it).
    """
    phrase = _Phrase.of(text, words(text) if of_words is None else of_words)
    cuts, first = [0], 0
    for i in range(len(phrase.words) - 1):
        place = phrase.cut_after(i, first=first)
        if place is not None:
            cuts.append(phrase.spans[i][1] + place)
            first = i + 1
    cuts.append(len(text))
    found = (_trimmed(text, start, end) for start, end in pairwise(cuts))
    return [span for span in found if span[0] < span[1]]


def _trimmed(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


class _Ahead(NamedTuple):
    """What follows, from a word on: words up to a pause, or up to "and"; whether one is a verb."""

    words: int
    uncoordinated: int
    verb: bool
    comma: bool  # the pause is a comma


@dataclass(frozen=True, slots=True)
class _Phrase:
    """The words of a text (emoji left out) and the gaps between them: `gaps[i]` follows word i."""

    spans: Sequence[Span]
    words: Sequence[str]
    lowered: Sequence[str]
    gaps: Sequence[str]
    ahead: Sequence[_Ahead]
    verbs_before: Sequence[int]

    @classmethod
    def of(cls, text: str, of_words: Sequence[Span]) -> _Phrase:
        spans = [(a, b) for a, b in of_words if any(map(str.isalnum, text[a:b]))]
        read = [text[a:b] for a, b in spans]
        lowered = [word.lower() for word in read]
        gaps = [text[left[1] : right[0]] for left, right in pairwise(spans)]
        verbs = [_is_verb(word) for word in lowered]
        ahead = _look_ahead(lowered, gaps, verbs)
        return cls(spans, read, lowered, gaps, ahead, list(accumulate(verbs, initial=0)))

    def cut_after(self, i: int, *, first: int) -> int | None:
        """Return where in gap i a clause ends, or None; `first` is the word that began it."""
        if self.gaps[i] == " ":  # most are, and one rule alone looks at more than the gap
            return self._contrast(i, i + 1 - first)
        for rule in (self._sentence, self._mark, self._contrast, self._comma):
            place = rule(i, i + 1 - first)
            if place is not None:
                return place
        return None

    def _sentence(self, i: int, left: int) -> int | None:
        gap, after = self.gaps[i], self.words[i + 1]
        end = _END.search(gap)
        if end is None or gap[: end.start()].endswith("("):
            return None
        mark = end["mark"]
        if set(mark) & set("!?"):
            ends = True
        elif mark == ".":
            spaced = any(map(str.isspace, gap))
            ends = self._full_stop(i) if spaced else _glued(self.words[i], after)
        else:  # dots in a row and emoji stand inside a sentence as often as at its end
            ends = after[0].isupper() and min(left, self.ahead[i + 1].words) >= MIN_CLAUSE
        return end.end() if ends else None

    def _full_stop(self, i: int) -> bool:
        """Tell whether the dot and space after word i end a sentence."""
        before, after = self.lowered[i], self.words[i + 1]
        starts = after[0].isupper() and after.lower() in _listed("starters")
        if before in _listed("abbreviations"):
            return False
        if before in _listed("closing_abbreviations"):
            return after[0].isupper()
        if before.isdecimal() and len(before) <= 2:
            return starts
        if len(before) == 1 and before.isalpha():
            chained = i > 0 and self.gaps[i - 1].startswith(".")
            closing = chained and self.lowered[i - 1] + before in _listed("closing_abbreviations")
            return starts and (closing or not chained)
        return True

    def _mark(self, i: int, left: int) -> int | None:
        gap = self.gaps[i]
        semicolon = _SEMICOLON.search(gap)
        if semicolon:
            return semicolon.end()
        if "\u2022" in gap:
            return gap.index("\u2022")
        dash = _DASH.search(gap)
        between_numbers = self.words[i].isdecimal() and self.words[i + 1][0].isdecimal()
        if dash and not between_numbers and min(left, self.ahead[i + 1].words) >= 2:
            return dash.end()
        return None

    def _contrast(self, i: int, left: int) -> int | None:
        before, word = self.lowered[i], self.lowered[i + 1]
        if word not in _contrasting():
            return None
        following = self.lowered[i + 2] if i + 2 < len(self.lowered) else ""
        if not following:
            return None
        if word in _listed("contrast") or (word, following) in _CONTRAST_PAIRS:
            contrasts = True
        elif word in _listed("contrast_between_long_parts"):
            contrasts = min(left, self.ahead[i + 1].words) > MIN_CLAUSE
        else:
            contrasts = False
        paused = _PAUSE.search(self.gaps[i]) is not None
        if paused:
            contrasts = contrasts or word in _listed("contrast_after_pause")
        elif before in _listed("particle_hosts"):
            contrasts = False
        return len(self.gaps[i]) if contrasts else None

    def _comma(self, i: int, left: int) -> int | None:
        gap, ahead = self.gaps[i], self.ahead[i + 1]
        if "," not in gap or self.lowered[i + 1] in _listed("binding"):
            return None
        if min(left, ahead.words) < MIN_CLAUSE:
            return None
        if ahead.verb:
            parts = ahead.uncoordinated >= 2
        else:  # without a verb it may be the next item of a list
            verb_before = self.verbs_before[i + 1] > self.verbs_before[i + 1 - left]
            parts = ahead.uncoordinated >= MIN_CLAUSE and not (verb_before and ahead.comma)
        return gap.index(",") + 1 if parts else None


def _listed(name: str) -> frozenset[str]:
    return word_lists("clauses")[name]


def _glued(before: str, after: str) -> bool:
    """Tell whether a dot without a space ends a sentence: "gut.Aber", not "e.V." or "Dr.Maier"."""
    known = before.lower() in _listed("abbreviations")
    return (
        not known
        and min(len(before), len(after)) > 1
        and before[-1].islower()
        and after[0].isupper()
    )


@cache
def _contrasting() -> frozenset[str]:
    """Return the words before which a clause of contrast may begin."""
    kinds = ("contrast", "contrast_between_long_parts", "contrast_after_pause")
    return frozenset(first for first, _ in _CONTRAST_PAIRS).union(*map(_listed, kinds))


def _is_verb(word: str) -> bool:
    # A word that nobody writes twice is not kept: ever longer ones would fill the memory.
    return _known_verb(word) if len(word) <= LONGEST_KEPT else _verb_like(word)


@lru_cache(maxsize=WORDS_KEPT)
def _known_verb(word: str) -> bool:
    return _verb_like(word)


def _verb_like(word: str) -> bool:
    return word in _listed("verbs") or _VERB_SHAPE.search(word) is not None


def _look_ahead(lowered: Sequence[str], gaps: Sequence[str], verbs: Sequence[bool]) -> list[_Ahead]:
    found: list[_Ahead] = []
    coordinators = _listed("coordinators")
    count, uncoordinated, verb, comma = 0, 0, False, False
    for i in range(len(lowered) - 1, -1, -1):
        pause = _PAUSE.search(gaps[i]) if i < len(gaps) and gaps[i] != " " else None
        if pause:
            count, uncoordinated, verb, comma = 0, 0, False, pause[0] == ","
        count += 1
        uncoordinated = 0 if lowered[i] in coordinators else uncoordinated + 1
        verb = verb or verbs[i]
        found.append(_Ahead(count, uncoordinated, verb, comma))
    return found[::-1]
