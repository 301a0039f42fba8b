"""An artefact: the folder of one model, checked when it is written and whenever it is read.

    manifest.json    what the model is: fingerprints, run, thresholds, calibration, metrics, checksums
    model.onnx       the network; knows no label
    labels.npz       what belongs to each row (label, signal, comment), and what untrained labels need
    tokenizer.json   the tokenizers library's file

No pickle, no dotted Python path. `read_artifact` says what is missing, damaged or does not fit.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import ArtifactError
from model.taxonomy import Taxonomy

FORMAT = 1
FILES = ("model.onnx", "labels.npz", "tokenizer.json")
MANIFEST = "manifest.json"
COMMENT = "comment"
Array = npt.NDArray[np.float32]

_ARRAYS = {
    "queries": 2,
    "own": 3,
    "bias": 2,
    "shared": 3,
    "shared_bias": 2,
    "centre": 1,
    "image": 2,
    "image_bias": 1,
    "norm": 1,
    "norm_bias": 1,
}
_KEYS = ("format", "name", "taxonomy", "languages", "max_tokens", "calibration", "files")
_NORM_EPS = 1e-5  # of the layer norm that Rows uses


@dataclass(frozen=True, slots=True)
class RowTable:
    """The rows of a model. `ids`: labels, then `signal:<id>`, then `comment`; R rows of width W.

    `queries` [R, W], `own` [R, W, 4] and `bias` [R, 4] are inputs of the graph. The rest scores a label
    that was never trained: `shared` [3, W, 4] and `shared_bias` [3, 4] (for label, signal, comment), and
    the image of an encoded text as a query (`centre`, `image`, `image_bias`, `norm`, `norm_bias`).
    """

    ids: tuple[str, ...]
    queries: Array
    own: Array
    bias: Array
    shared: Array
    shared_bias: Array
    centre: Array
    image: Array
    image_bias: Array
    norm: Array
    norm_bias: Array

    def query_of(self, encoded: Array) -> Array:
        """Return the query [W] of a text by its pooled encoding [W]."""
        image = self.image @ (encoded - self.centre) + self.image_bias
        scaled = (image - image.mean()) / np.sqrt(image.var() + _NORM_EPS)
        return np.asarray(scaled * self.norm + self.norm_bias, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A checked model folder."""

    folder: Path
    manifest: Mapping[str, Any]
    rows: RowTable

    @property
    def name(self) -> str:
        """Return the name of the model."""
        return str(self.manifest["name"])

    def check_fit(self, taxonomy: Taxonomy) -> tuple[str, ...]:
        """Return the rows that the taxonomy has and the model was not trained on.

        Raises `ArtifactError` for a label or signal that the taxonomy lost or gave another meaning.
        """
        trained: Mapping[str, str] = self.manifest["taxonomy"]["terms"]
        wanted = taxonomy.term_fingerprints()
        for key, fingerprint in trained.items():
            if key in taxonomy.retired:
                continue
            if key not in wanted:
                raise ArtifactError(
                    f"{self.folder}: was trained with {key!r}, which the taxonomy lost; put it back, "
                    "mark it retired = true, or train a model for this taxonomy"
                )
            if wanted[key] != fingerprint:
                raise ArtifactError(
                    f"{self.folder}: was trained with another meaning of {key!r}; put the old text "
                    "back, give the new meaning a new id, or train a model for this taxonomy"
                )
        return tuple(key for key in wanted if key not in trained)


def read_artifact(folder: Path) -> Artifact:
    """Read a model folder and check all of it. Raises `ArtifactError` with what does not fit."""
    manifest = read_manifest(folder)
    for name in FILES:
        _check_file(folder / name, manifest["files"].get(name), folder=folder)
    rows = _read_rows(folder / "labels.npz")
    expected = [*manifest["taxonomy"]["terms"], COMMENT]
    if list(rows.ids) != expected:
        raise ArtifactError(
            f"{folder}: labels.npz and {MANIFEST} name different rows; train it again"
        )
    return Artifact(folder, manifest, rows)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a model folder; its other files are not looked at."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{folder}: is no model folder ({MANIFEST} is missing)") from None
    except (OSError, ValueError, RecursionError):
        raise ArtifactError(
            f"{path}: cannot be read as JSON; fetch or train the model again"
        ) from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise ArtifactError(f"{path}: has format {found!r}; this version reads format {FORMAT}")
    for key in _KEYS:
        if key not in manifest:
            raise ArtifactError(
                f"{path}: the key {key!r} is missing; fetch or train the model again"
            )
    return manifest


def write_artifact(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a folder whose other files are there, with their checksums."""
    files = {
        name: {"sha256": _sha256(folder / name), "bytes": (folder / name).stat().st_size}
        for name in FILES
    }
    whole = {"format": FORMAT, **manifest, "files": files}
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def write_rows(path: Path, rows: RowTable) -> None:
    """Write `labels.npz`; numbers are kept in half precision, which the rows bear (see DECISIONS.md)."""
    arrays = {name: getattr(rows, name).astype(np.float16) for name in _ARRAYS}
    np.savez(path, ids=np.array(rows.ids, dtype=np.str_), **arrays)


def _read_rows(path: Path) -> RowTable:
    try:
        with np.load(path, allow_pickle=False) as stored:
            ids = tuple(str(row) for row in stored["ids"])
            arrays = {name: np.asarray(stored[name], dtype=np.float32) for name in _ARRAYS}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise ArtifactError(f"{path}: cannot be read; fetch or train the model again") from None
    for name, dimensions in _ARRAYS.items():
        if arrays[name].ndim != dimensions:
            raise ArtifactError(
                f"{path}: {name} has {arrays[name].ndim} dimensions, not {dimensions}"
            )
    return RowTable(ids=ids, **arrays)


def _check_file(path: Path, stated: Any, *, folder: Path) -> None:
    if not isinstance(stated, dict):
        raise ArtifactError(f"{folder}: {MANIFEST} states no checksum of {path.name}")
    if not path.is_file():
        raise ArtifactError(f"{folder}: {path.name} is missing; fetch or train the model again")
    size = path.stat().st_size
    if size != stated.get("bytes"):
        raise ArtifactError(
            f"{path}: has {size} bytes, not {stated.get('bytes')}; it was cut short or changed: "
            "fetch or train the model again"
        )
    if _sha256(path) != stated.get("sha256"):
        raise ArtifactError(f"{path}: was changed (its checksum differs); fetch or train it again")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
