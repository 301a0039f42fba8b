"""Check the labelled comments of a run: repeats within and across its parts, and what is there.

That labels are known and evidence stands in its text is checked by reading alone (corpus.py). Here
texts that are nearly the same are looked for, by MinHash (Broder 1997, "On the resemblance and
containment of documents") over runs of five letters and digits; what it proposes is measured.
A text in train that nearly stands in tune or test too makes figures better than they are.
Translations of one comment share no letters: they are looked for by the vectors of an encoder, if
one is given (translations.py), and so are labels that are likely wrong (suspects.py). Both are only
listed, since what is proposed may be right as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from datasketch import MinHash, MinHashLSH

from model.records import SENTIMENTS
from model.taxonomy import Taxonomy
from training.config import DataSource, RunConfig
from training.corpus import Example, text_key
from training.prepare import read_source
from training.suspects import Suspect, suspects
from training.translations import sentence_vectors, translations

ALIKE = 0.8  # share of common shingles from which two texts count as nearly the same
SHINGLE = 5  # letters and digits
SHORT = 25  # letters and digits: "alles super" is said by many, it is no copy
_PROPOSED = 0.6  # sketches are rough: what is less alike by them is measured all the same
_PERMUTATIONS = 128
_SHOWN = 20  # pairs in the report


@dataclass(frozen=True, slots=True)
class Place:
    """Where a comment stands: part (train, tune, test), source, id."""

    part: str
    source: str
    id: str

    def __str__(self) -> str:
        """Return it as one word."""
        return f"{self.part}:{self.source}:{self.id}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two comments that are nearly the same; `share` of their shingles is common.

    `same` tells that letters and digits are equal: a run itself keeps only one of such two.
    """

    first: Place
    second: Place
    share: float
    same: bool

    @property
    def crosses(self) -> bool:
        """Tell whether a run would train on the one and be judged by the other."""
        return self.first.part != self.second.part and not self.same


@dataclass(frozen=True, slots=True)
class Findings:
    """What a check found. `counts`: part -> language -> what -> how many.

    `twice`: places whose id stands twice in its source, so that nobody can tell which is meant.
    `between`: pairs of two languages that may say the same; `doubtful`: labels that are likely
    wrong, the most surprising first. None where nobody looked for them.
    """

    pairs: tuple[Pair, ...]
    twice: tuple[Place, ...]
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    between: tuple[Pair, ...] | None = None
    doubtful: tuple[tuple[Place, Suspect], ...] | None = None

    @property
    def crossing(self) -> tuple[Pair, ...]:
        """Return the pairs that make figures better than they are."""
        return tuple(pair for pair in self.pairs if pair.crosses)

    @property
    def faulty(self) -> bool:
        """Tell whether something has to be mended."""
        return bool(self.crossing or self.twice)

    def to_json(self) -> dict[str, Any]:
        """Return the findings as plain values, without any text."""
        return {
            "pairs": [[str(p.first), str(p.second), round(p.share, 3)] for p in self.pairs],
            "twice": [str(place) for place in self.twice],
            "between_languages": [
                [str(p.first), str(p.second), round(p.share, 3)] for p in self.between or ()
            ],
            "doubtful": [
                [str(place), doubt.label, doubt.present, round(doubt.probability, 3)]
                for place, doubt in self.doubtful or ()
            ],
            "counts": self.counts,
        }

    def markdown(self) -> str:
        """Return the findings as Markdown."""
        lines = [
            "# Data check",
            "",
            f"{len(self.pairs)} pairs of comments are alike. {sum(p.same for p in self.pairs)} are "
            "the same, of which a run keeps one. Of those that are nearly the same, "
            f"{len(self.crossing)} stand in different parts:",
        ]
        nearly = [pair for pair in self.pairs if not pair.same]
        shown = sorted(nearly, key=lambda pair: not pair.crosses)[:_SHOWN]
        lines += [f"- {pair.first} and {pair.second} ({pair.share:.2f})" for pair in shown]
        if len(nearly) > len(shown):
            lines.append(f"- and {len(nearly) - len(shown)} more")
        if self.twice:
            lines += ["", "Ids that stand twice: " + ", ".join(map(str, self.twice)) + "."]
        if self.between is not None:
            lines += ["", *_between_lines(self.between)]
        if self.doubtful is not None:
            lines += ["", *_doubtful_lines(self.doubtful)]
        for part, languages in self.counts.items():
            lines += ["", f"## {part}", "", *_table(languages)]
        return "\n".join(lines) + "\n"


def _between_lines(pairs: Sequence[Pair]) -> list[str]:
    crossing = [pair for pair in pairs if pair.first.part != pair.second.part]
    return [
        f"{len(pairs)} pairs of two languages may say the same, {len(crossing)} of them in "
        "different parts; read them:",
        *(f"- {pair.first} and {pair.second} ({pair.share:.2f})" for pair in crossing[:_SHOWN]),
    ]


def _doubtful_lines(doubtful: Sequence[tuple[Place, Suspect]]) -> list[str]:
    lines = [f"{len(doubtful)} labels are doubtful, the most surprising first; read them:"]
    for place, doubt in doubtful[:_SHOWN]:
        said = "is given" if doubt.present else "is missing"
        lines.append(f"- {place}: {doubt.label} {said} (probability {doubt.probability:.2f})")
    if len(doubtful) > _SHOWN:
        lines.append(f"- and {len(doubtful) - _SHOWN} more, all of them in data.json")
    return lines


def _table(languages: Mapping[str, Mapping[str, int]]) -> list[str]:
    names = sorted(languages)
    rows = dict.fromkeys(what for counts in languages.values() for what in counts)
    head = f"| | {' | '.join(names)} |"
    body = [
        f"| {what} | {' | '.join(str(languages[name].get(what, 0)) for name in names)} |"
        for what in rows
    ]
    return [head, "|---" * (len(names) + 1) + "|", *body]


def check(
    run: RunConfig,
    *,
    folder: Path,
    taxonomy: Taxonomy,
    translations_by: Path | None = None,
    suspects_by: Path | None = None,
) -> Findings:
    """Check all data of a run; with encoders, repeats between languages and wrong labels as well.

    Raises `DataError` for what breaks the rules of the data form.
    """
    placed: list[tuple[Place, Example]] = []
    for part in ("train", "tune", "test", "must_route", "certify"):
        sources: tuple[DataSource, ...] = getattr(run, part)
        for source in sources:
            name = "/".join(Path(source.path).parts[-2:])
            examples = read_source(source, folder=folder, taxonomy=taxonomy)
            placed += [(Place(part, name, example.id), example) for example in examples]
    parts = dict.fromkeys(place.part for place, _ in placed)
    counts = {
        part: count([e for place, e in placed if place.part == part], taxonomy=taxonomy)
        for part in parts
    }
    seen = Counter(place for place, _ in placed)
    twice = tuple(place for place, times in seen.items() if times > 1)
    return Findings(
        tuple(near_repeats(placed)),
        twice,
        counts,
        between=tuple(between_languages(placed, translations_by)) if translations_by else None,
        doubtful=tuple(doubtful(placed, suspects_by, taxonomy)) if suspects_by else None,
    )


def doubtful(
    placed: Sequence[tuple[Place, Example]], encoder: Path, taxonomy: Taxonomy
) -> list[tuple[Place, Suspect]]:
    """Return the labels of full annotations that are likely wrong, the most surprising first."""
    full = [(place, example) for place, example in placed if example.is_full]
    examples = [example for _, example in full]
    vectors = sentence_vectors([example.text for example in examples], encoder)
    return [(full[s.example][0], s) for s in suspects(examples, vectors, taxonomy=taxonomy)]


def between_languages(placed: Sequence[tuple[Place, Example]], encoder: Path) -> list[Pair]:
    """Return the pairs of comments of two languages that may say the same, the surest first."""
    by_language: dict[str, dict[str, tuple[Place, Example]]] = {}
    for place, example in placed:
        key = text_key(example.text)
        if len(key) >= SHORT:  # of equal texts one is enough
            by_language.setdefault(example.language, {}).setdefault(key, (place, example))
    rows = {language: list(found.values()) for language, found in sorted(by_language.items())}
    vectors = {
        language: sentence_vectors([example.text for _, example in found], encoder)
        for language, found in rows.items()
    }
    pairs = [
        Pair(rows[one][first][0], rows[other][second][0], margin, same=False)
        for one, other in combinations(rows, 2)
        for first, second, margin in translations(vectors[one], vectors[other])
    ]
    return sorted(pairs, key=lambda pair: -pair.share)


def shingles(text: str) -> frozenset[str]:
    """Return the runs of five letters and digits of a text; the whole where it is shorter."""
    key = text_key(text)
    return frozenset(key[i : i + SHINGLE] for i in range(max(1, len(key) - SHINGLE + 1)))


def near_repeats(placed: Sequence[tuple[Place, Example]]) -> list[Pair]:
    """Return the pairs of comments that are nearly the same, the most alike first."""
    index = MinHashLSH(threshold=_PROPOSED, num_perm=_PERMUTATIONS)
    sketches: list[tuple[int, MinHash]] = []
    parts: dict[int, frozenset[str]] = {}
    for number, (_, example) in enumerate(placed):
        if len(text_key(example.text)) < SHORT:
            continue
        parts[number] = shingles(example.text)
        sketch = MinHash(num_perm=_PERMUTATIONS)
        sketch.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in parts[number]])
        index.insert(number, sketch)
        sketches.append((number, sketch))
    proposed = {
        (min(number, other), max(number, other))
        for number, sketch in sketches
        for other in index.query(sketch)
        if other != number
    }
    pairs = []
    for first, second in sorted(proposed):
        share = len(parts[first] & parts[second]) / len(parts[first] | parts[second])
        if share >= ALIKE:
            one, other = placed[first], placed[second]
            same = text_key(one[1].text) == text_key(other[1].text)
            pairs.append(Pair(one[0], other[0], share, same))
    return sorted(pairs, key=lambda pair: -pair.share)


def count(examples: Iterable[Example], *, taxonomy: Taxonomy) -> dict[str, dict[str, int]]:
    """Return by language how many comments there are, with which labels, feelings and signals."""
    found: dict[str, Counter[str]] = {}
    for example in examples:
        here = found.setdefault(example.language, Counter())
        here["comments"] += 1
        if example.is_full and not example.labels:
            here["without a label"] += 1
        if example.sentiment:
            here[f"comment {example.sentiment}"] += 1
        here.update(example.signals or ())
        for label, note in example.labels.items():
            here[label] += 1
            here[f"{label} {note.sentiment or 'of unknown sentiment'}"] += 1
    order = ["comments", "without a label", *(f"comment {mood}" for mood in SENTIMENTS)]
    for label in taxonomy.labels:
        order += [label, *(f"{label} {mood}" for mood in (*SENTIMENTS, "of unknown sentiment"))]
    order += list(taxonomy.signals)
    return {
        language: {what: counts[what] for what in order if counts[what]}
        for language, counts in sorted(found.items())
    }
