"""The run file: one strict, frozen TOML file that says all of a training run and travels with its artefact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.errors import ConfigError, suggest
from model.taxonomy import read_toml

Share = Annotated[float, Field(gt=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSource(_Strict):
    """A file of labelled comments, in the form of docs/data-format.md; paths count from the run file."""

    path: str
    mapping: str | None = None
    ids: str | None = None  # a file with one id a line: only these records are used
    share: Share = 1.0  # of its records, drawn anew each epoch
    weight: Annotated[float, Field(gt=0)] = 1.0


class Vocabulary(_Strict):
    """How to cut the encoder's vocabulary: `size` pieces, all that `texts` use among them.

    `texts` are JSONL files (field `text`) or, ending in .tsv or .tsv.xz, tab-separated ones; a
    pattern such as `parallel/*.tsv.xz` names several.
    """

    size: Annotated[int, Field(ge=100)]
    texts: tuple[str, ...] = ()


class RunConfig(_Strict):
    """One training run. Learning rates are per step of AdamW; lengths are in tokens."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    base: str
    taxonomy: str
    train: Annotated[tuple[DataSource, ...], Field(min_length=1)]
    tune: tuple[DataSource, ...] = ()  # thresholds and calibration; none: a tenth of train
    test: tuple[DataSource, ...] = ()  # judged at the end, used for nothing else
    vocabulary: Vocabulary | None = None
    languages: tuple[str, ...] = ("de", "en")  # the model is good at them; others are for review
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
    forget: Annotated[float, Field(ge=0, lt=1)] = 0.1
    word_embeddings: Literal["frozen", "tuned"] = "frozen"
    seed: int = 13
    device: str = "auto"
    threads: Annotated[int, Field(ge=0)] = 0  # 0: as torch chooses


def load_run(path: Path) -> RunConfig:
    """Read and check a run file. Raises `ConfigError` that names file and key."""
    raw = read_toml(path, error=ConfigError)
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as problem:
        raise ConfigError(f"{path}: {_first(problem)}") from None


def _first(problem: ValidationError) -> str:
    """Return the first fault of a validation as one line, with what would have been right."""
    fault: Any = problem.errors()[0]
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = {"train": DataSource, "tune": DataSource, "test": DataSource}
        owner: type[BaseModel] = known.get(str(fault["loc"][0]), RunConfig)
        owner = Vocabulary if fault["loc"][0] == "vocabulary" else owner
        return f"unknown key {key!r}; {suggest(str(fault['loc'][-1]), owner.model_fields)}"
    if fault["type"] == "missing":
        return f"key {key!r} is missing"
    return f"{key} = {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"
