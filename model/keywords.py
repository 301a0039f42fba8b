"""Label comments by word lists: the baseline, and a company's own labels on their first day.

What keyword products do, done with care: spaCy's rule matching on lemmas, German compounds taken
apart, umlauts in either spelling, negation with scope, and sentiment by clause. The lists are data
(`keywords.de.toml`, `keywords.en.toml`, or a company's own; `model/keyword_rules.py` reads them).

Word lists have no probabilities. Confidence stands for the amount of proof: of a label or signal
`1 - 0.5 ** points`, a word one point, a phrase or a pair of words two; of a sentiment
`(1 + |praise - blame|) / (2 + praise + blame)`. The score is never looked at.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from model.clauses import clauses
from model.keyword_matching import Hit, Lists
from model.keyword_rules import load_rules
from model.language import detect_language
from model.records import Comment, Evidence, LabelScore, Prediction, Sentiment, SignalScore
from model.taxonomy import Taxonomy
from model.text import CleanText, clean, words

# A word of a pair is looked for at most this far from the other.
PAIR_REACH = 6
# A negation that turns nothing ("it did not arrive") is blame, but half as much as a word of blame.
BARE_NEGATION = 0.5


@dataclass(frozen=True, slots=True)
class Polar:
    """A judging word after negation: `value` is 1, -1, or -0.5 for a negation on its own."""

    place: int
    value: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as the lists see it: spaCy's words (`spans`), their `clause`, our `whole` words."""

    clean: CleanText
    whole: list[tuple[int, int]]
    spans: list[tuple[int, int]]
    clause: list[int]
    hits: list[Hit]


class KeywordScorer:
    """Classify comments by word lists, in the classifier's records; one thread at a time."""

    def __init__(self, lists: dict[str, Lists], *, reach: dict[str, int]) -> None:
        self._lists = lists
        self._reach = reach

    @classmethod
    def load(cls, paths: Sequence[Path] | None = None, *, taxonomy: Taxonomy) -> KeywordScorer:
        """Return a scorer for these files, or the shipped ones.

        Raises `KeywordsError` for a file that does not hold together or fit the taxonomy, and
        `MissingExtra` without spaCy and simplemma.
        """
        rules = load_rules(paths, taxonomy=taxonomy)
        return cls(
            {language: Lists(found) for language, found in rules.items()},
            reach={code: r.negation.reach for code, r in rules.items() if r.negation},
        )

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        """Return one prediction per comment, in the same order."""
        with ExitStack() as stack:
            for lists in self._lists.values():
                stack.enter_context(lists.memory())
            return [self._classify(comment) for comment in comments]

    def _classify(self, comment: Comment) -> Prediction:
        text = clean(comment.text)
        language = _language(comment, text)
        # Lists of every language are tried on what is in none of theirs ("Top!", a name, an emoji).
        codes = [language] if language in self._lists else list(self._lists)
        readings = {code: _read(text, self._lists[code]) for code in codes}
        code = max(codes, key=lambda each: len(readings[each].hits))
        reading = readings[code]
        polars = polarities(reading, reach=self._reach.get(code, 1))
        value, confidence = _balance(polars)
        return Prediction(
            language=language,
            sentiment=_named(value),
            confidence=confidence,
            labels=_labels(reading, polars),
            signals=_signals(reading),
        )


def _language(comment: Comment, text: CleanText) -> str:
    if comment.language:
        tag = comment.language.replace("_", "-").split("-")[0].lower()
        return tag if tag in ("de", "en", "und") else "other"
    return detect_language(text.text)


def _read(text: CleanText, lists: Lists) -> Reading:
    found = lists.find(text.text)
    starts = [start for start, _ in clauses(text.text)] or [0]
    clause = [max(0, bisect_right(starts, start) - 1) for start, _ in found.spans]
    # What reaches over the end of a clause is chance.
    hits = [hit for hit in found.hits if clause[hit.start] == clause[hit.end - 1]]
    return Reading(text, words(text.text), found.spans, clause, hits)


def _outermost(hits: list[Hit]) -> list[Hit]:
    """Return the hits that no longer one covers: "no answer" is not "answer"."""
    long = [hit for hit in hits if hit.length > 1]
    return [hit for hit in hits if not any(hit.inside(other) for other in long)]


def polarities(reading: Reading, *, reach: int) -> list[Polar]:
    """Return the judging words of a reading in order, turned by the negations that they have."""
    kinds = ("positive", "negative", "before", "after", "carry", "no_negation")
    hits = _outermost([hit for hit in reading.hits if hit.target.kind in kinds])
    hits.sort(key=lambda hit: (hit.start, hit.end))
    judging = [hit for hit in hits if hit.target.kind in ("positive", "negative")]
    turned = [0] * len(judging)
    bare = []
    for negation in hits:
        # In the order of the text, so that what is carried on is known.
        if negation.target.kind in ("before", "after"):
            place = _turned(negation, judging, reading, reach=reach)
            if place is None:
                bare.append(Polar(negation.start, -BARE_NEGATION))
            else:
                turned[place] += 1
        elif negation.target.kind == "carry":
            for place, (left, right) in enumerate(pairwise(judging)):
                if left.end == negation.start and negation.end == right.start:
                    turned[place + 1] += turned[place]
    found = [
        Polar(hit.start, (1 if hit.target.kind == "positive" else -1) * (-1) ** turns)
        for hit, turns in zip(judging, turned, strict=True)
    ]
    return sorted(found + bare, key=lambda polar: polar.place)


def _turned(negation: Hit, judging: list[Hit], reading: Reading, *, reach: int) -> int | None:
    """Return which judging hit a negation turns: the next one, for "nicht" else the last one."""
    clause = reading.clause[negation.start]
    near = [
        (place, hit) for place, hit in enumerate(judging) if reading.clause[hit.start] == clause
    ]
    for place, hit in near:
        if 0 <= hit.start - negation.end < reach:
            return place
    if negation.target.kind == "after":
        for place, hit in reversed(near):
            if 0 <= negation.start - hit.end < reach:
                return place
    return None


def _labels(reading: Reading, polars: list[Polar]) -> tuple[LabelScore, ...]:
    found = _terms([hit for hit in reading.hits if hit.target.kind == "label"], reading)
    scores = []
    for label, hits in found.items():
        value, sure = _sentiment(hits, polars, reading)
        scores.append(
            LabelScore(
                label=label,
                area=label.partition(".")[0],
                sentiment=_named(value),
                confidence=_confidence(hits),
                sentiment_confidence=sure,
                evidence=_evidence(hits, reading),
            )
        )
    return tuple(sorted(scores, key=lambda score: (-score.confidence, score.label)))


def _signals(reading: Reading) -> tuple[SignalScore, ...]:
    found = _terms([hit for hit in reading.hits if hit.target.kind == "signal"], reading)
    scores = [
        SignalScore(signal=signal, confidence=_confidence(hits), evidence=_evidence(hits, reading))
        for signal, hits in found.items()
    ]
    return tuple(sorted(scores, key=lambda score: (-score.confidence, score.signal)))


def _terms(hits: list[Hit], reading: Reading) -> dict[str, list[Hit]]:
    """Return the hits that count, by label or signal."""
    never = [hit for hit in hits if hit.target.role == "never"]
    hits = [
        hit
        for hit in hits
        if not any(
            off.target.term == hit.target.term and off.start <= hit.start and hit.end <= off.end
            for off in never
        )
    ]
    whole = [hit for hit in hits if hit.target.role in ("sure", "weak")] + _pairs(hits, reading)
    whole = _outermost(whole)
    counted = [hit for hit in whole if hit.target.role == "sure"] or whole
    terms: dict[str, list[Hit]] = defaultdict(list)
    for hit in sorted(counted, key=lambda hit: (hit.start, hit.end)):
        terms[hit.target.term].append(hit)
    return terms


def _pairs(hits: list[Hit], reading: Reading) -> list[Hit]:
    """Return a hit over both words of each pair that stands close together in one clause."""
    seconds: dict[tuple[str, int], list[Hit]] = defaultdict(list)
    for hit in hits:
        if hit.target.role == "with":
            seconds[hit.target.term, hit.target.pair].append(hit)
    found = []
    for hit in hits:
        if hit.target.role != "any":
            continue
        for other in seconds[hit.target.term, hit.target.pair]:
            one, two = sorted((hit, other), key=lambda each: each.start)
            same = reading.clause[one.start] == reading.clause[two.start]
            if same and 0 <= two.start - one.end < PAIR_REACH:
                found.append(Hit(one.start, two.end, replace(hit.target, role="sure")))
    return found


def _sentiment(hits: list[Hit], polars: list[Polar], reading: Reading) -> tuple[float, float]:
    """Return praise less blame of the clauses of these hits, and its confidence.

    A clause that says as much of both is judged by the word next to the hit; clauses that judge
    nothing by the nearest one that does.
    """
    by_clause: dict[int, list[Polar]] = defaultdict(list)
    for polar in polars:
        by_clause[reading.clause[polar.place]].append(polar)
    own = sorted({reading.clause[hit.start] for hit in hits})
    values = []
    for clause in own:
        value = sum(polar.value for polar in by_clause[clause])
        if not value and by_clause[clause]:
            place = next(hit.start for hit in hits if reading.clause[hit.start] == clause)
            value = min(by_clause[clause], key=lambda polar: abs(polar.place - place)).value
        values += [value] if value else []
    if not values:
        judged = [clause for clause, found in by_clause.items() if _balance(found)[0]]
        if not judged:
            return 0.0, 0.5
        nearest = min(judged, key=lambda clause: min(abs(clause - each) for each in own))
        value, sure = _balance(by_clause[nearest])
        return value, (0.5 + sure) / 2
    return _balance([Polar(0, value) for value in values])


def _balance(polars: Sequence[Polar]) -> tuple[float, float]:
    """Return praise less blame, and how sure that is (0.5 for nothing or as much of both)."""
    praise = sum(polar.value for polar in polars if polar.value > 0)
    blame = -sum(polar.value for polar in polars if polar.value < 0)
    return praise - blame, (1 + abs(praise - blame)) / (2 + praise + blame)


def _named(value: float) -> Sentiment:
    if value == 0:
        return "neutral"
    return "positive" if value > 0 else "negative"


def _confidence(hits: list[Hit]) -> float:
    points = sum(2 if hit.length > 1 else 1 for hit in hits)
    return round(1 - 0.5**points, 4)


def _evidence(hits: list[Hit], reading: Reading) -> tuple[Evidence, ...]:
    """Return one run of whole words for each clause: from its first to its last hit."""
    runs: dict[int, tuple[int, int]] = {}
    for hit in hits:
        clause = reading.clause[hit.start]
        start, end = runs.get(clause, (hit.start, hit.end))
        runs[clause] = min(start, hit.start), max(end, hit.end)
    found = []
    for first, last in runs.values():
        start, end = _whole(reading.whole, reading.spans[first][0], reading.spans[last - 1][1])
        start, end = reading.clean.original_span(start, end)
        found.append(Evidence(start=start, end=end, text=reading.clean.original[start:end]))
    return tuple(found)


def _whole(whole: list[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """Return the span widened to whole words: spaCy parts "e-mail" and "don't"."""
    first = bisect_right(whole, start, key=lambda word: word[1])
    last = bisect_left(whole, end, key=lambda word: word[0]) - 1
    if first < len(whole) and whole[first][0] < start:
        start = whole[first][0]
    if last >= 0 and whole[last][1] > end:
        end = whole[last][1]
    return start, end
