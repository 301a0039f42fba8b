"""Find the entries of word lists in a text: lemmas, stems, compounds, phrases.

An entry is a word ("Lieferung"), the beginning of a word ("verspät*"), a phrase ("zu spät"), or a
phrase with a gap of up to `LONGEST_GAP` words ("kam ... nicht an"). Words are compared as lemmas,
without case and with umlauts written out, so that "verspaetet" is "verspätet". A German noun in a
list (it has a capital letter there) is also found as part of a compound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from model.errors import MissingExtra
from model.keyword_rules import Compounds, LanguageRules, TermRules

LONGEST_GAP = 4  # words; more, and the parts of a phrase seldom belong together
CACHED_FORMS = 50_000  # word forms whose entries are remembered, some 20 MB
_SPELLINGS = (("ae", "ä"), ("oe", "ö"), ("ue", "ü"), ("ss", "ß"))
_FOLDED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "\u2019": "'"})
_STRETCHED = re.compile(r"(\w)\1{2,}")

Kind = Literal["label", "signal", "positive", "negative", "before", "after", "carry", "no_negation"]
NAMING: tuple[Kind, ...] = ("label", "signal")
JUDGING: tuple[Kind, ...] = ("positive", "negative")
Role = Literal["sure", "weak", "never", "any", "with"]


@dataclass(frozen=True, slots=True)
class Target:
    """What an entry stands for; `pair` numbers the pairs of lists of a term."""

    kind: Kind
    term: str = ""
    role: Role = "sure"
    pair: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry found in the words `start:end` of a text."""

    start: int
    end: int
    target: Target

    def inside(self, other: Hit) -> bool:
        """Tell whether the other hit covers this one and more."""
        return other.start <= self.start and self.end <= other.end and self.length < other.length

    @property
    def length(self) -> int:
        """Return the number of words."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a text: the characters of each word, and the hits in no order."""

    spans: list[tuple[int, int]]
    hits: list[Hit]


class Forms:
    """The words of one language: their lemmas, and the parts of compounds."""

    def __init__(self, language: str, *, keep: Iterable[str], compounds: Compounds | None) -> None:
        try:
            from simplemma import is_known, lemmatize
        except ModuleNotFoundError:
            raise MissingExtra("keywords", needed_for="the keyword scorer") from None
        self._language = language
        self._is_known, self._lemmatize = is_known, lemmatize
        self._keep = {fold(word) for word in keep}
        self._compounds = compounds
        self.key = lru_cache(CACHED_FORMS)(self._key)
        self.exceptions = {self._key(word) for word in compounds.exceptions} if compounds else set()

    def _key(self, form: str) -> str:
        low = form.lower()
        if fold(low) in self._keep:
            return fold(low)
        for spelling in _spellings(low, language=self._language):
            if self._is_known(spelling, lang=self._language):
                return fold(self._lemmatize(spelling, lang=self._language))
        return fold(_unstretched(low))

    def heads(self, form: str) -> Iterator[str]:
        """Yield the key of each last part that a compound may have (Lieferzeit: Zeit)."""
        rules = self._compounds
        if rules and self.key(form) not in self.exceptions:
            for cut in range(rules.shortest_rest, len(form) - rules.shortest_part + 1):
                if self._is_modifier(form[:cut]):
                    yield self.key(form[cut:])

    def modifiers(self, form: str) -> Iterator[str]:
        """Yield the key of each first part that a compound may have (Versandkosten: Versand)."""
        rules = self._compounds
        if rules and self.key(form) not in self.exceptions:
            for cut in range(rules.shortest_part, len(form) - rules.shortest_rest + 1):
                if self._is_word(form[cut:]):
                    yield from (self.key(part) for part in self._unlinked(form[:cut]))

    def _is_modifier(self, part: str) -> bool:
        # Schuh-größe, Liefer-zeit (of liefern), Versicherung-s-summe.
        return self._is_word(part + "n") or any(map(self._is_word, self._unlinked(part)))

    def _unlinked(self, part: str) -> Iterator[str]:
        part = part.removesuffix("-")
        yield part
        yield part + "e"  # Adress-änderung
        for link in self._compounds.links if self._compounds else ():
            if part.endswith(link):
                yield part.removesuffix(link)

    def _is_word(self, part: str) -> bool:
        low = part.lower().removeprefix("-")
        if not self._compounds or len(low) < self._compounds.shortest_rest:
            return False
        return any(
            self._is_known(form, lang=self._language)
            for spelling in _spellings(low, language=self._language)
            for form in (spelling, spelling.capitalize())
        )


def fold(word: str) -> str:
    """Return the word in lower case with umlauts and ß written out."""
    return word.lower().translate(_FOLDED)


def _unstretched(word: str) -> str:
    """Return "super" for "suuuper"; a run that is the whole word ("www") stays."""
    return _STRETCHED.sub(r"\1", word) if len(set(word)) > 1 else word


def _spellings(low: str, *, language: str) -> Iterator[str]:
    """Yield the ways in which a word may be meant: as written, not stretched, with umlauts."""
    plain = _unstretched(low)
    yield low
    if plain != low:
        yield plain
    if language == "de":
        for written, meant in _SPELLINGS:
            if written in plain:
                yield plain.replace(written, meant)


class Lists:
    """The compiled entries of one language; `find` returns all that stand in a text.

    Not for several threads at once: spaCy's vocabulary is shared between calls.
    """

    def __init__(self, rules: LanguageRules) -> None:
        try:
            import spacy
            from spacy.matcher import Matcher, PhraseMatcher
        except ModuleNotFoundError:
            raise MissingExtra("keywords", needed_for="the keyword scorer") from None
        self._forms = Forms(rules.language, keep=rules.keep or (), compounds=rules.compounds)
        self._nlp = spacy.blank(rules.language)
        self._words: dict[str, list[Target]] = {}
        self._nouns: dict[str, list[Target]] = {}
        self._stems: dict[str, list[Target]] = {}
        self._phrases: dict[tuple[str, ...], list[Target]] = {}
        for entry, target in _entries(rules):
            self._add(entry, target)
        self._contiguous = PhraseMatcher(self._nlp.vocab, attr="LEMMA")
        self._gapped = Matcher(self._nlp.vocab)
        self._compile()
        self.targets = lru_cache(CACHED_FORMS)(self._targets)

    def memory(self) -> AbstractContextManager[Any]:
        """Return a context in which documents may be made; afterwards their words are forgotten."""
        zone: AbstractContextManager[Any] = self._nlp.memory_zone()
        return zone

    def find(self, text: str) -> Found:
        """Return the words and hits of a clean text."""
        doc, forms, spans = self._document(text)
        hits = [
            Hit(place, place + 1, target)
            for place, form in enumerate(forms)
            for target in self.targets(form)
        ]
        for matcher in (self._contiguous, self._gapped):
            for number, start, end in matcher(doc):
                keys = self._nlp.vocab.strings[number]
                hits += [Hit(start, end, target) for target in self._phrases[tuple(keys.split())]]
        return Found(spans, list(dict.fromkeys(hits)))

    def _document(self, text: str) -> tuple[Any, list[str], list[tuple[int, int]]]:
        """Return spaCy's document with our keys as lemmas, the words, and where they stand."""
        self._nlp.max_length = max(self._nlp.max_length, len(text) + 1)
        doc = self._nlp.make_doc(text)
        forms, spans = [], []
        for token in doc:
            form, start = token.text, token.idx
            token.lemma_ = self._forms.key(form)
            forms.append(form)
            spans.append((start, start + len(form)))
        return doc, forms, spans

    def _add(self, entry: str, target: Target) -> None:
        if entry.endswith("*"):
            self._stems.setdefault(fold(entry[:-1]), []).append(target)
            return
        _, forms, _ = self._document(entry.replace("...", " … "))
        keys = tuple(self._forms.key(form) for form in forms if form.strip())
        if len(keys) > 1:
            self._phrases.setdefault(keys, []).append(target)
            return
        self._words.setdefault(keys[0], []).append(target)
        if entry[0].isupper() and target.kind != "before":
            self._nouns.setdefault(keys[0], []).append(target)

    def _compile(self) -> None:
        from spacy.tokens import Doc

        gap = {"OP": f"{{0,{LONGEST_GAP}}}"}
        for keys in self._phrases:
            name = " ".join(keys)
            if "…" in keys:
                pattern = [gap if key == "…" else {"LEMMA": key} for key in keys]
                self._gapped.add(name, [pattern], greedy="FIRST")
            else:
                doc = Doc(self._nlp.vocab, words=list(keys), lemmas=list(keys))
                self._contiguous.add(name, [doc])

    def _targets(self, form: str) -> tuple[Target, ...]:
        """Return what a word stands for, its parts only where no list has it whole."""
        found = list(self._words.get(self._forms.key(form), ()))
        folded = fold(_unstretched(form))
        for end in range(1, len(folded) + 1):
            found += self._stems.get(folded[:end], ())
        judges = any(target.kind in JUDGING for target in found)
        names = any(target.kind in NAMING for target in found)
        if not judges:
            # "Problemlösung" is no problem: only a last part judges.
            found += self._of_parts(self._forms.heads(form.lower()), JUDGING)
        if not names:
            found += self._of_parts(self._forms.heads(form.lower()), NAMING)
            found += self._of_parts(self._forms.modifiers(form.lower()), NAMING)
        return tuple(dict.fromkeys(found))

    def _of_parts(self, keys: Iterable[str], kinds: tuple[Kind, ...]) -> list[Target]:
        return [t for key in keys for t in self._nouns.get(key, ()) if t.kind in kinds]


def _entries(rules: LanguageRules) -> Iterator[tuple[str, Target]]:
    for term, lists in rules.labels.items():
        yield from _term_entries("label", term, lists)
    for term, lists in rules.signals.items():
        yield from _term_entries("signal", term, lists)
    if rules.polarity:
        yield from _targeted(rules.polarity.positive, Target("positive"))
        yield from _targeted(rules.polarity.negative, Target("negative"))
    if rules.negation:
        yield from _targeted(rules.negation.before, Target("before"))
        yield from _targeted(rules.negation.after, Target("after"))
        yield from _targeted(rules.negation.carry, Target("carry"))
        yield from _targeted(rules.negation.never, Target("no_negation"))


def _term_entries(kind: Kind, term: str, lists: TermRules) -> Iterator[tuple[str, Target]]:
    yield from _targeted(lists.entries, Target(kind, term, "sure"))
    yield from _targeted(lists.weak, Target(kind, term, "weak"))
    yield from _targeted(lists.never, Target(kind, term, "never"))
    for pair, both in enumerate(lists.together):
        yield from _targeted(both.any_of, Target(kind, term, "any", pair))
        yield from _targeted(both.with_one_of, Target(kind, term, "with", pair))


def _targeted(entries: Iterable[str], target: Target) -> Iterator[tuple[str, Target]]:
    for entry in entries:
        yield entry, target
