"""Read and check keyword files: the word lists that say by which words a label is recognised.

A file holds one language. `[labels."area.topic"]` and `[signals.name]` list words and phrases;
`[polarity]`, `[negation]`, `[compounds]` and `[lemmas]` describe the language and may be left out:
they are then those of the shipped file. Several files of one language are read as one. Files are
strict: what is wrong is named with file and key, and with what would have been right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from model.errors import KeywordsError, suggest
from model.taxonomy import Taxonomy, read_toml

LANGUAGES = ("de", "en")
SHIPPED = {code: Path(str(files("model"))) / f"keywords.{code}.toml" for code in LANGUAGES}
_SECTIONS = {"language", "labels", "signals", "polarity", "negation", "compounds", "lemmas"}
_TERM_KEYS = {"words", "phrases", "weak", "not", "together"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Two lists of which one entry each must stand in the same clause."""

    any_of: tuple[str, ...]
    with_one_of: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TermRules:
    """The lists of one label or signal.

    `entries` (words and phrases) count always, `weak` ones only where nothing else was found in the
    comment; a match inside one of `never` does not count.
    """

    entries: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    together: tuple[Together, ...] = ()

    def merged(self, other: TermRules) -> TermRules:
        """Return the lists of both."""
        return TermRules(
            entries=self.entries + other.entries,
            weak=self.weak + other.weak,
            never=self.never + other.never,
            together=self.together + other.together,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Polarity:
    """Words and phrases that praise or blame."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Negation:
    """Words that turn praise into blame and back.

    Each turns the first judging word that follows within `reach` words of its clause; those of
    `after` ("gefällt mir nicht") else the last one before them. A word of `carry` ("not fast or
    cheap") takes the negation on. A match inside one of `never` ("nicht nur") turns nothing.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    carry: tuple[str, ...]
    never: tuple[str, ...]
    reach: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compounds:
    """How compounds are taken apart; lengths in characters, `links` stand between the parts."""

    shortest_part: int
    shortest_rest: int
    links: tuple[str, ...]
    exceptions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageRules:
    """All rules of one language; `keep`: words that must not be reduced to their lemma."""

    language: str
    labels: Mapping[str, TermRules]
    signals: Mapping[str, TermRules]
    polarity: Polarity | None
    negation: Negation | None
    compounds: Compounds | None
    keep: tuple[str, ...] | None


def load_rules(paths: Sequence[Path] | None, *, taxonomy: Taxonomy) -> dict[str, LanguageRules]:
    """Return the rules by language, from these files or the shipped ones.

    Raises `KeywordsError` for anything that the form or the taxonomy does not know.
    """
    if paths is not None and not paths:
        raise KeywordsError("no keyword file was given; name at least one, or none for the shipped")
    rules: dict[str, LanguageRules] = {}
    for path in paths if paths is not None else SHIPPED.values():
        read = _read_file(path, labels=taxonomy.labels, signals=taxonomy.signals)
        known = rules.get(read.language)
        rules[read.language] = _merged(known, read, path=path) if known else read
    return {language: _completed(found) for language, found in rules.items()}


def _merged(first: LanguageRules, second: LanguageRules, *, path: Path) -> LanguageRules:
    labels = dict(first.labels)
    for term, lists in second.labels.items():
        labels[term] = labels[term].merged(lists) if term in labels else lists
    signals = dict(first.signals)
    for term, lists in second.signals.items():
        signals[term] = signals[term].merged(lists) if term in signals else lists
    once: dict[str, Any] = {}
    for key in ("polarity", "negation", "compounds", "keep"):
        one, other = getattr(first, key), getattr(second, key)
        if one is not None and other is not None:
            section = "lemmas" if key == "keep" else key
            raise KeywordsError(
                f"{path}: [{section}] stands in another file of {first.language!r} too; keep one"
            )
        once[key] = one if one is not None else other
    return replace(first, labels=labels, signals=signals, **once)


def _completed(rules: LanguageRules) -> LanguageRules:
    keys = ("polarity", "negation", "compounds", "keep")
    missing = [key for key in keys if getattr(rules, key) is None]
    if not missing:
        return rules
    shipped = _read_file(SHIPPED[rules.language], labels=None, signals=None)
    return replace(rules, **{key: getattr(shipped, key) for key in missing})


def _read_file(
    path: Path, *, labels: Iterable[str] | None, signals: Iterable[str] | None
) -> LanguageRules:
    raw = read_toml(path, error=KeywordsError)
    _check_keys(raw, _SECTIONS, where=str(path))
    if raw.get("language") not in LANGUAGES:
        raise KeywordsError(f'{path}: language must be "de" or "en", not {raw.get("language")!r}')
    return LanguageRules(
        language=raw["language"],
        labels=_terms(raw, "labels", known=labels, path=path),
        signals=_terms(raw, "signals", known=signals, path=path),
        polarity=_polarity(raw, path=path),
        negation=_negation(raw, path=path),
        compounds=_compounds(raw, path=path),
        keep=_keep(raw, path=path),
    )


def _terms(
    raw: Mapping[str, Any], kind: str, *, known: Iterable[str] | None, path: Path
) -> dict[str, TermRules]:
    if known is None:
        return {}
    ids = set(known)
    terms: dict[str, TermRules] = {}
    for term in _table(raw, kind, where=str(path)):
        if term not in ids:
            raise KeywordsError(
                f"{path}: [{kind}] {term!r} is not in the taxonomy; {suggest(term, ids)}"
            )
        terms[term] = _term(
            _table(raw[kind], term, where=f"{path}: [{kind}]"), f'{path}: [{kind}."{term}"]'
        )
    return terms


def _term(row: Mapping[str, Any], where: str) -> TermRules:
    _check_keys(row, _TERM_KEYS, where=where)
    words = _strings(row, "words", where=where)
    phrases = _strings(row, "phrases", where=where)
    for entry in words:
        if len(entry.split()) > 1:
            raise KeywordsError(
                f"{where} words: {entry!r} is more than one word; list it in phrases"
            )
    for entry in phrases:
        if len(entry.split()) == 1:
            raise KeywordsError(f"{where} phrases: {entry!r} is one word; list it in words")
    pairs = row.get("together", [])
    if not isinstance(pairs, list) or not all(isinstance(pair, dict) for pair in pairs):
        raise KeywordsError(f"{where} together must be tables with the lists any and with")
    rules = TermRules(
        entries=words + phrases,
        weak=_strings(row, "weak", where=where),
        never=_strings(row, "not", where=where),
        together=tuple(_pair(pair, where=f"{where} together") for pair in pairs),
    )
    if not (rules.entries or rules.weak or rules.together):
        raise KeywordsError(f"{where} lists nothing; give it words, phrases, weak or together")
    return rules


def _pair(row: Mapping[str, Any], *, where: str) -> Together:
    _check_keys(row, {"any", "with"}, where=where)
    return Together(
        any_of=_strings(row, "any", where=where, needed=True),
        with_one_of=_strings(row, "with", where=where, needed=True),
    )


def _polarity(raw: Mapping[str, Any], *, path: Path) -> Polarity | None:
    if "polarity" not in raw:
        return None
    row, where = _table(raw, "polarity", where=str(path)), f"{path}: [polarity]"
    _check_keys(row, {"positive", "negative"}, where=where)
    positive = _strings(row, "positive", where=where, needed=True)
    negative = _strings(row, "negative", where=where, needed=True)
    for entry in positive:
        if entry in negative:
            raise KeywordsError(f"{where}: {entry!r} is in positive and negative; keep one")
    return Polarity(positive=positive, negative=negative)


def _negation(raw: Mapping[str, Any], *, path: Path) -> Negation | None:
    if "negation" not in raw:
        return None
    row, where = _table(raw, "negation", where=str(path)), f"{path}: [negation]"
    _check_keys(row, {"before", "after", "carry", "not", "reach"}, where=where)
    return Negation(
        before=_strings(row, "before", where=where, needed=True),
        after=_strings(row, "after", where=where),
        carry=_strings(row, "carry", where=where),
        never=_strings(row, "not", where=where),
        reach=_number(row, "reach", where=where),
    )


def _compounds(raw: Mapping[str, Any], *, path: Path) -> Compounds | None:
    if "compounds" not in raw:
        return None
    row, where = _table(raw, "compounds", where=str(path)), f"{path}: [compounds]"
    _check_keys(row, {"shortest_part", "shortest_rest", "links", "exceptions"}, where=where)
    return Compounds(
        shortest_part=_number(row, "shortest_part", where=where),
        shortest_rest=_number(row, "shortest_rest", where=where),
        links=_strings(row, "links", where=where),
        exceptions=_strings(row, "exceptions", where=where),
    )


def _keep(raw: Mapping[str, Any], *, path: Path) -> tuple[str, ...] | None:
    if "lemmas" not in raw:
        return None
    row, where = _table(raw, "lemmas", where=str(path)), f"{path}: [lemmas]"
    _check_keys(row, {"keep"}, where=where)
    return _strings(row, "keep", where=where, needed=True)


def _table(raw: Mapping[str, Any], key: str, *, where: str) -> dict[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise KeywordsError(f"{where}: {key} must be a table, not {type(value).__name__}")
    return value


def _strings(
    row: Mapping[str, Any], key: str, *, where: str, needed: bool = False
) -> tuple[str, ...]:
    if key not in row and not needed:
        return ()
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise KeywordsError(f"{where} {key} must be a list of texts")
    if not value or not all(
        any(sign.isprintable() and sign not in " *." for sign in entry) for entry in value
    ):
        raise KeywordsError(
            f"{where} {key} is empty or holds an empty text; list words or leave it out"
        )
    for entry in value:
        if "*" in entry[:-1] or (entry.endswith("*") and " " in entry):
            raise KeywordsError(f"{where} {key}: {entry!r} may have * only at the end of one word")
        if value.count(entry) > 1:
            raise KeywordsError(f"{where} {key}: {entry!r} stands there twice; keep one")
    return tuple(value)


def _number(row: Mapping[str, Any], key: str, *, where: str) -> int:
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise KeywordsError(f"{where} {key} must be a whole number of at least 1, not {value!r}")
    return value


def _check_keys(row: Mapping[str, Any], known: set[str], *, where: str) -> None:
    for key in row:
        if key not in known:
            raise KeywordsError(f"{where}: unknown key {key!r}; {suggest(key, known)}")
