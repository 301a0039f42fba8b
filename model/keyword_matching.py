"""Find the entries of word lists in a text: lemmas, stems, compounds, phrases.

An entry is a word ("Lieferung"), the beginning of a word ("verspät*"), a phrase ("zu spät"), or a phrase
with a gap of up to `LONGEST_GAP` words ("kam ... nicht an"). Words are compared as lemmas, without case
and with umlauts written out, so that "verspaetet" is "verspätet". A German noun in a list (it has a
capital letter there) is also found as part of a compound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from model.errors import MissingExtra
from model.keyword_rules import Compounds, LanguageRules

LONGEST_GAP = 4  # words; more, and the parts of a phrase seldom belong together
CACHED_FORMS = 50_000  # word forms whose entries are remembered, some 20 MB
_SPELLINGS = (("ae", "ä"), ("oe", "ö"), ("ue", "ü"), ("ss", "ß"))
_FOLDED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "’": "'"})
_STRETCHED = re.compile(r"(?<=\w)(\w)\1{2,}|(\w)\2{2,}(?=\w)")

Kind = Literal["label", "signal", "positive", "negative", "before", "after", "no_negation"]
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
        return fold(_STRETCHED.sub(r"\1", low))

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


def _spellings(low: str, *, language: str) -> Iterator[str]:
    """Yield the ways in which a word may be meant: as written, not stretched, with umlauts."""
    plain = _STRETCHED.sub(r"\1", low)
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

    def document(self, text: str) -> Any:
        """Return spaCy's document of a clean text, with our keys as lemmas."""
        self._nlp.max_length = max(self._nlp.max_length, len(text) + 1)
        doc = self._nlp.make_doc(text)
        for token in doc:
            token.lemma_ = self._forms.key(token.text)
        return doc

    def find(self, doc: Any) -> list[Hit]:
        """Return the hits of a document, in no order."""
        hits = [
            Hit(place, place + 1, target)
            for place, token in enumerate(doc)
            for target in self.targets(token.text)
        ]
        for matcher in (self._contiguous, self._gapped):
            for number, start, end in matcher(doc):
                keys = self._nlp.vocab.strings[number]
                hits += [Hit(start, end, target) for target in self._phrases[tuple(keys.split())]]
        return hits

    def _add(self, entry: str, target: Target) -> None:
        if entry.endswith("*"):
            self._stems.setdefault(fold(entry[:-1]), []).append(target)
            return
        keys = tuple(token.lemma_ for token in self.document(entry.replace("...", " … ")))
        keys = tuple(key for key in keys if key.strip())
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
        """Return what a word stands for, a compound only where no list has it whole."""
        found = list(self._words.get(self._forms.key(form), ()))
        folded = fold(form)
        for end in range(1, len(folded) + 1):
            found += self._stems.get(folded[:end], ())
        judges = any(target.kind in ("positive", "negative") for target in found)
        names = any(target.kind in ("label", "signal") for target in found)
        if form.isalnum() or "-" in form:
            low = form.lower()
            for key in self._forms.heads(low):
                for target in self._nouns.get(key, ()):
                    if not (judges if target.kind in ("positive", "negative") else names):
                        found.append(target)
            if not names:
                for key in self._forms.modifiers(low):
                    # "Problemlösung" is no problem: only a last part judges.
                    found += [t for t in self._nouns.get(key, ()) if t.kind in ("label", "signal")]
        return tuple(dict.fromkeys(found))


def _entries(rules: LanguageRules) -> Iterator[tuple[str, Target]]:
    for kind, terms in (("label", rules.labels), ("signal", rules.signals)):
        for term, lists in terms.items():
            roles = (("sure", lists.entries), ("weak", lists.weak), ("never", lists.never))
            for role, entries in roles:
                yield from ((entry, Target(kind, term, role)) for entry in entries)
            for pair, lists_of_pair in enumerate(lists.together):
                for entry in lists_of_pair.any_of:
                    yield entry, Target(kind, term, "any", pair)
                for entry in lists_of_pair.with_one_of:
                    yield entry, Target(kind, term, "with", pair)
    if rules.polarity:
        yield from ((entry, Target("positive")) for entry in rules.polarity.positive)
        yield from ((entry, Target("negative")) for entry in rules.polarity.negative)
    if rules.negation:
        yield from ((entry, Target("before")) for entry in rules.negation.before)
        yield from ((entry, Target("after")) for entry in rules.negation.after)
        yield from ((entry, Target("no_negation")) for entry in rules.negation.never)
