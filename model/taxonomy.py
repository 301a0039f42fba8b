"""Read and check a taxonomy file: areas, labels, signals, sentiments.

Nothing in code names a label. Another company's taxonomy is another file in the same form; it is
read strictly, and what is wrong is named with the file, the table and the key.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from model.errors import EcholotError, TaxonomyError, suggest
from model.records import SENTIMENTS

SHIPPED = Path(str(files("model"))) / "labels.toml"
LANGUAGES = ("en", "de")
_ID = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
_FILE_KEYS = {"version", "sentiments", "areas", "labels", "signals"}
_TERM_KEYS = {*LANGUAGES, "means", "retired", "replaced_by"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A label or a signal: names and meanings by language; `area` is empty for signals."""

    id: str
    area: str
    name: Mapping[str, str]
    means: Mapping[str, str]

    @property
    def described(self) -> str:
        """Return the text by which the network knows it: name and meaning in all its languages."""
        return " ".join(f"{self.name[tag]}: {self.means[tag]}." for tag in self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """Areas, labels and signals in the order of the file; retired ones are left out."""

    areas: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, Term]
    signals: Mapping[str, Term]
    retired: frozenset[str] = frozenset()  # keys as in `term_fingerprints`

    def topics(self, area: str) -> tuple[str, ...]:
        """Return the label ids of an area, in the order of the file."""
        return tuple(term.id for term in self.labels.values() if term.area == area)

    def fingerprint(self) -> str:
        """Return a digest of ids, areas, signals and meanings; display names do not count."""
        return _digest(
            {
                "areas": sorted(self.areas),
                "labels": {t.id: dict(sorted(t.means.items())) for t in self.labels.values()},
                "signals": {t.id: dict(sorted(t.means.items())) for t in self.signals.values()},
            }
        )

    def term_fingerprints(self) -> dict[str, str]:
        """Return a digest of the meaning of each label and signal (signals as `signal:id`)."""
        terms = [(t.id, t) for t in self.labels.values()]
        terms += [(f"signal:{t.id}", t) for t in self.signals.values()]
        return {key: _digest([t.area, dict(sorted(t.means.items()))]) for key, t in terms}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def read_toml(path: Path, *, error: type[EcholotError]) -> dict[str, Any]:
    """Read a TOML file; raise `error` if it is missing, not UTF-8, or no TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem})") from None
    except UnicodeDecodeError as problem:
        raise error(f"{path}: is not UTF-8 (byte {problem.start}); save it as UTF-8") from None
    except (ValueError, RecursionError) as problem:  # bad TOML, over-long integers, deep nesting
        raise error(f"{path}: is not valid TOML: {problem}") from None


def load_taxonomy(path: Path | None = None) -> Taxonomy:
    """Read and check a taxonomy file (the shipped one if no path is given).

    Raises `TaxonomyError`: unknown or missing keys, labels outside the areas, bad ids, empty texts.
    """
    path = path or SHIPPED
    raw = read_toml(path, error=TaxonomyError)
    _check_keys(raw, _FILE_KEYS, where=str(path))
    sentiments = raw.get("sentiments", list(SENTIMENTS))
    if sentiments != list(SENTIMENTS):
        raise TaxonomyError(f"{path}: sentiments must be {list(SENTIMENTS)}, not {sentiments!r}")
    if raw.get("version", 1) != 1:
        raise TaxonomyError(f"{path}: version must be 1, not {raw['version']!r}")
    areas = {
        _checked_id(area, where=f"{path}: [areas]"): _names(names, where=f"{path}: [areas] {area}")
        for area, names in _table(raw, "areas", where=str(path)).items()
    }
    raw.setdefault("signals", {})
    labels = _terms(raw, "labels", path=path, areas=areas)
    signals = _terms(raw, "signals", path=path, areas=None)
    if not labels:
        raise TaxonomyError(f"{path}: [labels] has no label in use; at least one is needed")
    retired = {label for label in raw["labels"] if label not in labels}
    retired |= {f"signal:{signal}" for signal in raw["signals"] if signal not in signals}
    return Taxonomy(areas=areas, labels=labels, signals=signals, retired=frozenset(retired))


def _terms(
    raw: Mapping[str, Any], kind: str, *, path: Path, areas: Mapping[str, Any] | None
) -> dict[str, Term]:
    table = _table(raw, kind, where=str(path))
    active: dict[str, Term] = {}
    for term_id, row in table.items():
        where = f"{path}: [{kind}.{json.dumps(term_id, ensure_ascii=False)}]"
        if not isinstance(row, dict):
            raise TaxonomyError(f"{where} must be a table with en, de and means")
        _check_keys(row, _TERM_KEYS, where=where)
        area = _area_of(term_id, areas, where=where)
        if not _retired(row, table, where=where):
            means = _names(row.get("means"), where=f"{where}: means")
            name = {language: _text(row, language, where=where) for language in LANGUAGES}
            active[term_id] = Term(id=term_id, area=area, name=name, means=means)
    return active


def _area_of(term_id: str, areas: Mapping[str, Any] | None, *, where: str) -> str:
    if areas is None:
        _checked_id(term_id, where=where)
        return ""
    area, dot, topic = term_id.partition(".")
    if not dot:
        raise TaxonomyError(f"{where}: a label id is area.topic, for example 'delivery.speed'")
    _checked_id(topic, where=where)
    if area not in areas:
        raise TaxonomyError(f"{where}: unknown area {area!r}; {suggest(area, areas)}")
    return area


def _retired(row: Mapping[str, Any], table: Mapping[str, Any], *, where: str) -> bool:
    retired, successor = row.get("retired", False), row.get("replaced_by")
    if not isinstance(retired, bool):
        raise TaxonomyError(f"{where}: retired must be true or false, not {retired!r}")
    if successor is not None and not retired:
        raise TaxonomyError(f"{where}: replaced_by needs retired = true")
    if successor is not None and (not isinstance(successor, str) or successor not in table):
        raise TaxonomyError(
            f"{where}: unknown replaced_by {successor!r}; {suggest(str(successor), table)}"
        )
    return retired


def _names(value: Any, *, where: str) -> dict[str, str]:
    """Return a text for each language out of a table that holds nothing else."""
    if not isinstance(value, dict):
        raise TaxonomyError(f"{where} must be a table with {' and '.join(LANGUAGES)}")
    _check_keys(value, set(LANGUAGES), where=where)
    return {language: _text(value, language, where=where) for language in LANGUAGES}


def _text(table: Mapping[str, Any], language: str, *, where: str) -> str:
    text = table.get(language)
    if not isinstance(text, str) or not text.strip():
        raise TaxonomyError(f"{where}: a text for {language!r} is missing or empty")
    return text


def _checked_id(name: str, *, where: str) -> str:
    if not _ID.fullmatch(name):
        raise TaxonomyError(f"{where}: id {name!r} may hold a-z, 0-9, '-' and '_' only")
    return name


def _table(raw: Mapping[str, Any], key: str, *, where: str) -> dict[str, Any]:
    value = raw.get(key)
    if not isinstance(value, dict):
        raise TaxonomyError(f"{where}: the table [{key}] is missing")
    return value


def _check_keys(row: Mapping[str, Any], known: set[str], *, where: str) -> None:
    for key in row:
        if key not in known:
            raise TaxonomyError(f"{where}: unknown key {key!r}; {suggest(key, known)}")
