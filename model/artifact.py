"""An artefact: the folder of one model, checked when it is written and whenever it is read.

    manifest.json    fingerprints, run, thresholds, calibration, metrics, checksums of the others
    model.onnx       the network; knows no label
    labels.npz       what belongs to each row (label, signal, comment), and to untrained ones
    labels.toml      the taxonomy that the model was trained with
    tokenizer.json   the tokenizers library's file
    certificate.npz  judged comments without texts, once the model is certified (certificate.py)

No pickle, no dotted Python path. `read_artifact` says what is missing, damaged or does not fit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.calibration import Calibration
from model.certificate import CERTIFICATE, Certificate
from model.errors import ArtifactError
from model.taxonomy import Taxonomy

FORMAT = 1
FILES = ("model.onnx", "labels.npz", "labels.toml", "tokenizer.json")
OPTIONAL = (CERTIFICATE,)
MANIFEST = "manifest.json"
COMMENT = "comment"
KINDS = ("label", "signal", "comment")  # of rows; what the rows of a kind share has this order
Array = npt.NDArray[np.float32]

# Arrays of `labels.npz` by their axes: R rows, K kinds, width W, four outcomes.
_AXES = {
    "queries": "RW",
    "own": "RW4",
    "bias": "R4",
    "shared": "KW4",
    "shared_bias": "K4",
    "centre": "W",
    "image": "WW",
    "image_bias": "W",
    "norm": "W",
    "norm_bias": "W",
}
_NORM_EPS = 1e-5  # of the layer norm that makes queries in training
_SPECIAL_TOKENS = 2  # that a window holds beside at least one of its text
_MEND = "fetch or train the model again"


@dataclass(frozen=True, slots=True)
class RowTable:
    """The rows of a model. `ids`: labels, then `signal:<id>`, then `comment`; R rows of width W.

    `queries` [R, W], `own` [R, W, 4] and `bias` [R, 4] are inputs of the graph. The rest scores a
    label that was never trained: `shared` [3, W, 4] and `shared_bias` [3, 4] by kind of row, and
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
    calibration: Calibration

    @property
    def name(self) -> str:
        """Return the name of the model."""
        return str(self.manifest["name"])

    def certificate(self) -> Certificate | None:
        """Return what was judged to promise routes; None for a model that was not certified."""
        path = self.folder / CERTIFICATE
        return Certificate.read(path) if CERTIFICATE in self.manifest["files"] else None

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
                    f"{self.folder}: was trained with {key!r}, which the taxonomy lost; put it "
                    "back, mark it retired = true, or train a model for this taxonomy"
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
    for name in _files(manifest["files"]):
        _check_file(folder / name, manifest["files"][name])
    rows = _read_rows(folder / "labels.npz")
    if list(rows.ids) != [*manifest["taxonomy"]["terms"], COMMENT]:
        raise ArtifactError(f"{folder}: labels.npz and {MANIFEST} name different rows; {_MEND}")
    try:
        calibration = Calibration.from_manifest(manifest["calibration"])
    except ArtifactError as problem:
        raise ArtifactError(f"{folder}: {problem}") from None
    return Artifact(folder, manifest, rows, calibration)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a model folder; its other files are not looked at.

    What other code reads of it has the right type. Raises `ArtifactError`.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes().decode("utf-8"))
        # An escape such as \ud800 is JSON, but half a character that nothing can print.
        json.dumps(manifest, ensure_ascii=False).encode("utf-8")
    except FileNotFoundError:
        raise ArtifactError(f"{folder}: is no model folder ({MANIFEST} is missing)") from None
    except OSError as problem:
        raise ArtifactError(f"{path}: cannot be read ({problem.strerror})") from None
    except (ValueError, RecursionError):
        raise ArtifactError(f"{path}: is not JSON in UTF-8; {_MEND}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise ArtifactError(f"{path}: has format {found!r:.40}; this version reads format {FORMAT}")
    _check_manifest(manifest, path=path)
    return manifest


def _check_manifest(manifest: Mapping[str, Any], *, path: Path) -> None:
    def need(holds: bool, key: str, what: str) -> None:
        if not holds:
            raise ArtifactError(f"{path}: {key} must be {what}; {_MEND}")

    name, languages = manifest.get("name"), manifest.get("languages")
    taxonomy, tokens = manifest.get("taxonomy"), manifest.get("max_tokens")
    need(isinstance(name, str) and name.isprintable() and name != "", "name", "a text of one line")
    need(_are(languages, str, of=list), "languages", "a list of language tags")
    need(type(tokens) is int and tokens > _SPECIAL_TOKENS, "max_tokens", "a whole number from 3 up")
    need(isinstance(manifest.get("calibration"), dict), "calibration", "a table")
    need(isinstance(taxonomy, dict), "taxonomy", "a table")
    need(_are(manifest["taxonomy"].get("terms"), str), "taxonomy.terms", "a table of fingerprints")
    need(_are(manifest.get("files"), dict), "files", "a table of files")
    for file in _files(manifest["files"]):
        stated = manifest["files"].get(file, {})
        whole = isinstance(stated.get("sha256"), str) and type(stated.get("bytes")) is int
        need(whole, f"files.{file}", "a table with sha256 and bytes")


def _files(stated: Mapping[str, Any]) -> tuple[str, ...]:
    return (*FILES, *(name for name in OPTIONAL if name in stated))


def _are(value: Any, kind: type, *, of: type = dict) -> bool:
    """Tell whether `value` is a list, or a table, of values of a kind."""
    items: Any = value.values() if isinstance(value, dict) else value
    return isinstance(value, of) and all(isinstance(item, kind) for item in items)


def write_artifact(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a folder whose other files are there, with their checksums."""
    files = {
        name: {"sha256": _sha256(folder / name), "bytes": (folder / name).stat().st_size}
        for name in (*FILES, *(name for name in OPTIONAL if (folder / name).is_file()))
    }
    whole = {"format": FORMAT, **manifest, "files": files}
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def write_rows(path: Path, rows: RowTable) -> None:
    """Write `labels.npz` in half precision: round the rows to it before they are judged."""
    arrays = {name: getattr(rows, name).astype(np.float16) for name in _AXES}
    np.savez(path, ids=np.array(rows.ids, dtype=np.str_), **arrays)


def _read_rows(path: Path) -> RowTable:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            ids = tuple(str(row) for row in stored["ids"])
            arrays = {name: np.asarray(stored[name], dtype=np.float32) for name in _AXES}
    except Exception:  # numpy, zipfile and zlib raise a dozen classes for a file that is none
        raise ArtifactError(f"{path}: cannot be read; {_MEND}") from None
    sizes = {"R": len(ids), "K": len(KINDS), "W": arrays["centre"].size, "4": 4}
    for name, axes in _AXES.items():
        expected = tuple(sizes[axis] for axis in axes)
        if arrays[name].shape != expected:
            raise ArtifactError(
                f"{path}: {name} has the shape {arrays[name].shape}, not {expected}; {_MEND}"
            )
    return RowTable(ids=ids, **arrays)


def _check_file(path: Path, stated: Mapping[str, Any]) -> None:
    # Streamed, and read again by whoever loads it: kept bytes would be a second copy of the graph
    # in memory, while the second reading comes from the page cache.
    try:
        size, digest = path.stat().st_size, _sha256(path)
    except FileNotFoundError:
        raise ArtifactError(f"{path}: is missing; {_MEND}") from None
    except OSError as problem:
        raise ArtifactError(f"{path}: cannot be read ({problem.strerror})") from None
    if size != stated["bytes"]:
        raise ArtifactError(
            f"{path}: has {size} bytes, not {stated['bytes']}; it was cut short or changed: {_MEND}"
        )
    if digest != stated["sha256"]:
        raise ArtifactError(f"{path}: was changed (its checksum differs); {_MEND}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
