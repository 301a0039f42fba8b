"""What a run starts from: its data, its encoder with the cut vocabulary, its features."""

from __future__ import annotations

import hashlib
import json
import logging
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from model.errors import ConfigError, DataError, suggest
from model.registry import resolve
from model.taxonomy import Taxonomy, load_taxonomy
from model.text import clean
from training.config import DataSource, RunConfig
from training.corpus import (
    Example,
    load_mapping,
    read_examples,
    read_records,
    text_key,
    without_repeats,
)
from training.encoder import find_encoder
from training.finished import unpack_model
from training.vocabulary import cut_vocabulary

log = logging.getLogger(__name__)
TUNE_SHARE = 0.1  # of train, where a run names no data for tuning


@dataclass(frozen=True, slots=True)
class Data:
    """The parts of a run's data; no text stands in two of them. `train` is by source."""

    train: tuple[list[Example], ...]
    tune: list[Example]
    test: list[Example]
    must_route: list[Example] = field(default_factory=list)
    certify: list[Example] = field(default_factory=list)
    unlabelled: list[Example] = field(default_factory=list)  # for a teacher to speak of

    def fingerprint(self) -> str:
        """Return a digest of all ids and texts."""
        digest = hashlib.sha256()
        for example in chain(*self.train, self.unlabelled, self.tune, self.test):
            digest.update(f"{example.id}\0{example.text}\0".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:16]


def read_data(run: RunConfig, *, folder: Path, taxonomy: Taxonomy) -> Data:
    """Read all data of a run; paths count from `folder`, where the run file lies.

    Raises `DataError` for a file that breaks the rules, `ConfigError` where nothing is left.
    """

    def read(source: DataSource) -> list[Example]:
        return read_source(source, folder=folder, taxonomy=taxonomy)

    test = [example for source in run.test for example in read(source)]
    tune = [example for source in run.tune for example in _worded(read(source))]
    must_route = [example for source in run.must_route for example in read(source)]
    certify = [example for source in run.certify for example in read(source)]
    kept_apart = [*test, *must_route, *certify]
    tune = without_repeats(tune, held_out=kept_apart)
    if run.tune and not tune:
        raise ConfigError("tune: no comment is left once those of test are out")
    sources = [_worded(read(source)) for source in run.train]
    # Full annotations first, so that of two annotations of one text the full one wins.
    ordered = sorted(chain(*sources), key=lambda example: not example.is_full)
    kept = without_repeats(ordered, held_out=[*tune, *kept_apart])
    if not tune:
        kept, tune = _split(kept)
    if not kept:
        raise ConfigError("train: no comment is left once those of tune and test are out")
    place = {id(example): number for number, example in enumerate(kept)}
    train = tuple(
        sorted((e for e in source if id(e) in place), key=lambda e: place[id(e)])
        for source in sources
    )
    unlabelled = []
    if run.teacher is not None:
        found = _unlabelled(run.teacher.texts, folder=folder)
        unlabelled = without_repeats(found, held_out=[*kept, *tune, *kept_apart])
    log.info(
        "train %s, tune %d, test %d, unlabelled %d",
        [len(part) for part in train],
        len(tune),
        len(test),
        len(unlabelled),
    )
    return Data(train, tune, test, must_route, certify, unlabelled)


def _unlabelled(patterns: Sequence[str], *, folder: Path) -> list[Example]:
    """Return the texts of files as examples of which nothing is known."""
    files = _text_files(patterns, folder=folder, key="teacher.texts")
    texts = (text for file in files for text in _texts(file))
    return [
        Example(id=f"unlabelled-{n}", text=text, language="und")
        for n, text in enumerate(texts)
        if clean(text).text
    ]


def read_source(source: DataSource, *, folder: Path, taxonomy: Taxonomy) -> list[Example]:
    """Return all that a source of a run holds, repeats too. Raises `DataError`."""
    mapping = None
    if source.mapping:
        mapping = load_mapping(folder / source.mapping, taxonomy=taxonomy)
    examples = read_examples(
        folder / source.path,
        taxonomy=taxonomy,
        mapping=mapping,
        texts=folder / source.texts if source.texts else None,
        weight=source.weight,
    )
    for label in source.open:
        if label not in taxonomy.labels:
            raise ConfigError(
                f"{source.path}: open names the label {label!r}, which the taxonomy has not; "
                + suggest(label, taxonomy.labels)
            )
    if source.open:
        unknown = frozenset(source.open)
        examples = [replace(example, absent=example.absent - unknown) for example in examples]
    if source.without:
        kept_out = _ids(folder / source.without)
        examples = [example for example in examples if example.id not in kept_out]
    return _chosen(examples, folder / source.ids) if source.ids else examples


def _ids(file: Path) -> set[str]:
    try:
        return set(file.read_text("utf-8").split())
    except (OSError, UnicodeDecodeError):
        raise DataError(f"{file}: cannot be read as UTF-8 text with one id a line") from None


def _worded(examples: Sequence[Example]) -> list[Example]:
    """Return the examples that say something: what an empty text is answered is not learnt."""
    return [example for example in examples if clean(example.text).text]


def _chosen(examples: Sequence[Example], file: Path) -> list[Example]:
    """Return the examples whose ids stand in a file, one a line; every id must be found."""
    wanted = _ids(file)
    chosen = [example for example in examples if example.id in wanted]
    if len(chosen) < len(wanted):
        missing = sorted(wanted - {example.id for example in chosen})
        raise DataError(f"{file}: {len(missing)} ids have no record, the first is {missing[0]!r}")
    return chosen


def _split(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Set aside a tenth by the digest of the text: the same one in every run."""
    tune: list[Example] = []
    rest: list[Example] = []
    for example in examples:
        digest = hashlib.sha256(text_key(example.text).encode("utf-8", "surrogatepass")).digest()
        (tune if digest[0] < 256 * TUNE_SHARE else rest).append(example)
    return rest, tune


def read_taxonomy(run: RunConfig, *, folder: Path) -> Taxonomy:
    """Return the taxonomy of a run.

    Raises `ConfigError` where the run names a signal that the taxonomy has not.
    """
    taxonomy = load_taxonomy(folder / run.taxonomy)
    for signal in run.miss_costs:
        if signal not in taxonomy.signals:
            raise ConfigError(
                f"miss_costs names the signal {signal!r}, which {run.taxonomy} has not; "
                + suggest(signal, taxonomy.signals)
            )
    return taxonomy


def prepare_encoder(run: RunConfig, *, folder: Path, cache: Path) -> Path:
    """Return the folder of the run's encoder, its vocabulary cut if the run says so.

    For a run that goes on from a finished model it holds that model's weights too. All is kept in
    `cache`. Raises `ConfigError` where there is no such encoder, model or text file.
    """
    if run.start_model is not None:
        beside = folder / run.start_model
        name = str(beside) if beside.is_dir() else run.start_model
        return unpack_model(resolve(name, data_dir=cache), cache=cache)
    base = str(run.base)  # there is one where the run does not go on from a model
    if (folder / base / "config.json").is_file():
        base = str(folder / base)
    source = find_encoder(base, cache=cache)
    if run.vocabulary is None:
        return source
    files = _text_files(run.vocabulary.texts, folder=folder, key="vocabulary.texts")
    stamp = json.dumps(
        [str(source), run.vocabulary.size, [[f.name, f.stat().st_size] for f in files]]
    )
    digest = hashlib.sha256(stamp.encode()).hexdigest()[:12]
    target = cache / "encoders" / f"{source.name}-{run.vocabulary.size}-{digest}"
    if not (target / "config.json").is_file():
        log.info("cutting the vocabulary to %d pieces", run.vocabulary.size)
        texts = chain.from_iterable(_texts(file) for file in files)
        cut_vocabulary(source, target, texts=texts, size=run.vocabulary.size)
    return target


def _text_files(patterns: Sequence[str], *, folder: Path, key: str) -> list[Path]:
    files: list[Path] = []
    for pattern in patterns:
        found = sorted((folder / pattern).parent.glob(Path(pattern).name))
        if not found:
            raise ConfigError(f"{key}: no file matches {pattern!r} (from {folder})")
        files += found
    return files


def _texts(file: Path) -> Iterator[str]:
    if file.name.endswith(".jsonl"):
        for _, record in read_records(file):
            yield clean(record["text"]).text
        return
    opener = lzma.open if file.suffix == ".xz" else open
    try:
        with opener(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield from str(line).rstrip("\n").split("\t")
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError):
        raise DataError(f"{file}: cannot be read as UTF-8 text (.xz: compressed by xz)") from None
