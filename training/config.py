"""The run file: one strict, frozen TOML file that says all of a training run.

It travels with the artefact that comes of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from model.errors import ConfigError, suggest
from model.taxonomy import read_toml

Share = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
_FIRST_LINES = {
    "name": 'name = "shop-1"',
    "base": 'base = "intfloat/multilingual-e5-small"',
    "taxonomy": 'taxonomy = "labels.toml"',
    "train": "[[train]] with a path",
    "path": 'path = "comments.jsonl"',
    "models": 'models = ["shop-1"]',
    "size": "size = 58000",
}
WEIGHTS_END = ".safetensors"  # of a `start` that is the weights of a run
_SHOWN = 60  # characters of a wrong value


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataSource(_Strict):
    """A file of labelled comments, as in docs/data-format.md; paths count from the run file."""

    path: Name
    mapping: Name | None = None
    texts: Name | None = None  # the file with the texts, where `path` holds annotations alone
    ids: Name | None = None  # a file with one id a line: only these records are used
    without: Name | None = None  # a file with one id a line: these are kept for judging
    open: tuple[Name, ...] = ()  # labels that its annotators did not know: not taken for absent
    share: Share = 1.0  # of its records, drawn anew each epoch
    weight: Annotated[float, Field(gt=0)] = 1.0


class Vocabulary(_Strict):
    """How to cut the encoder's vocabulary: `size` pieces, all that `texts` use among them.

    `texts` are JSONL files (field `text`) or, ending in .tsv or .tsv.xz, tab-separated ones; a
    pattern such as `parallel/*.tsv.xz` names several.
    """

    size: Annotated[int, Field(ge=100)]
    texts: tuple[str, ...] = ()


class Lessons(_Strict):
    """Finished models to learn from, see training/teacher.py.

    `models` are names or folders; several are averaged. `texts` are files of texts without any
    annotation, as in `[vocabulary]`; `draw` is the share of them that an epoch reads.
    """

    models: Annotated[tuple[Name, ...], Field(min_length=1)]
    texts: tuple[str, ...] = ()
    draw: Share = 1.0
    weight: Share = 0.5  # of what the models say; the annotation has the rest


class RunConfig(_Strict):
    """One training run. Learning rates are per step of AdamW; lengths are in tokens."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    base: Name | None = None  # the pretrained encoder, where `start` is no finished model
    # To go on from: weights.safetensors of an earlier run, or a finished model by name or folder.
    start: Name | None = None
    taxonomy: Name
    routing: Name | None = None  # rules that routes are judged by; the shipped ones if they fit
    train: Annotated[tuple[DataSource, ...], Field(min_length=1)]
    tune: tuple[DataSource, ...] = ()  # thresholds and calibration; none: a tenth of train
    test: tuple[DataSource, ...] = ()  # judged at the end, used for nothing else
    must_route: tuple[DataSource, ...] = ()  # cases whose signals demand a team; only judged
    behaviour: tuple[Name, ...] = ()  # files of pairs, see training/behaviour.py; only judged
    certify: tuple[DataSource, ...] = ()  # used once per release, by `echolot certify`
    vocabulary: Vocabulary | None = None
    layers: Annotated[int, Field(ge=1)] | None = None  # of the encoder, spread evenly; None: all
    teacher: Lessons | None = None  # for `echolot distill`
    languages: tuple[str, ...] = ("de", "en")  # the model is good at them; others are for review
    # Signal -> how many false alarms one miss costs; its threshold is then 1 / (1 + cost).
    miss_costs: dict[str, Annotated[float, Field(ge=1)]] = {}
    epochs: Annotated[int, Field(ge=1)] = 8
    batch_comments: Annotated[int, Field(ge=1)] = 32
    max_tokens: Annotated[int, Field(ge=16, le=512)] = 256  # longer comments are read in windows
    learning_rate: Annotated[float, Field(gt=0)] = 1.5e-4
    head_learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    layer_decay: Share = 1.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.06  # share of all steps
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    present_weight: Annotated[float, Field(gt=0)] = 2.0
    evidence_weight: Annotated[float, Field(ge=0)] = 1.0
    forget: Annotated[float, Field(ge=0, le=1)] = 0.1  # 1: rows have no part of their own
    attention: Literal["label", "mean"] = "label"  # "mean": the baseline of one pooled vector
    slips: Annotated[float, Field(ge=0, le=1)] = 0.0  # share of comments read as if typed in haste
    word_embeddings: Literal["frozen", "tuned"] = "frozen"
    seed: int = 13
    device: str = "auto"
    threads: Annotated[int, Field(ge=0)] = 0  # 0: as torch chooses

    @property
    def start_model(self) -> str | None:
        """Return the finished model that the run goes on from, if it does."""
        return None if self.start is None or self.start.endswith(WEIGHTS_END) else self.start

    @model_validator(mode="after")
    def _has_one_encoder(self) -> RunConfig:
        if self.start_model is None and self.base is None:
            raise PydanticCustomError("missing_base", "is missing")
        for key in ("base", "vocabulary"):
            if self.start_model is not None and getattr(self, key) is not None:
                raise PydanticCustomError(
                    "of_model",
                    "start = {start} is a finished model, which has its own; leave {key} out",
                    {"start": repr(self.start), "key": key},
                )
        return self


def load_run(path: Path) -> RunConfig:
    """Read and check a run file. Raises `ConfigError` that names file and key."""
    raw = read_toml(path, error=ConfigError)
    try:
        # Strict JSON knows lists as TOML does; dates, which it does not know, no key may hold.
        return RunConfig.model_validate_json(json.dumps(raw, default=lambda date: [str(date)]))
    except ValidationError as problem:
        raise ConfigError(f"{path}: {_first(problem)}") from None


def check_files(run: RunConfig, *, file: Path) -> None:
    """Check that the data files and the taxonomy that a run file names are there.

    Raises `ConfigError` that names run file and key.
    """
    for key, path in _named_files(run):
        if not (file.parent / path).is_file():
            raise ConfigError(f"{file}: {key} = {path!r}: no such file ({file.parent / path})")


def _named_files(run: RunConfig) -> Iterator[tuple[str, str]]:
    yield "taxonomy", run.taxonomy
    if run.routing:
        yield "routing", run.routing
    if run.start and not run.start_model:
        yield "start", run.start
    for number, file in enumerate(run.behaviour):
        yield f"behaviour[{number}]", file
    for kind in ("train", "tune", "test", "must_route", "certify"):
        sources: tuple[DataSource, ...] = getattr(run, kind)
        for number, source in enumerate(sources):
            for key in ("path", "mapping", "texts", "ids", "without"):
                if path := getattr(source, key):
                    yield f"{kind}[{number}].{key}", path


def _first(problem: ValidationError) -> str:
    """Return the first fault of a validation as one line, with what would have been right."""
    # An unknown key comes first: it may be a misspelt one that then is missing.
    faults: list[Any] = sorted(problem.errors(), key=lambda f: f["type"] != "extra_forbidden")
    fault = faults[0]
    place = fault["loc"]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)[1:]
    if fault["type"] == "extra_forbidden":
        # By where the key lies: in the file, in a table of its own, in one of several tables.
        tables: dict[str, type[BaseModel]] = {"vocabulary": Vocabulary, "teacher": Lessons}
        owner: type[BaseModel] = (
            RunConfig if len(place) == 1 else tables.get(str(place[0]), DataSource)
        )
        return f"unknown key {key!r}; {suggest(str(place[-1]), owner.model_fields)}"
    if fault["type"] == "of_model":
        return str(fault["msg"])
    if fault["type"] == "missing_base":
        return f"key 'base' is missing; for example {_FIRST_LINES['base']}, or go on from a model"
    if fault["type"] == "missing":
        return f"key {key!r} is missing; for example {_FIRST_LINES[place[-1]]}"
    value = repr(fault["input"])
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
    return f"{key} = {shown}: {fault['msg'][0].lower()}{fault['msg'][1:]}"
