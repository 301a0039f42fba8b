from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.artifact import (
    FILES,
    MANIFEST,
    read_artifact,
    read_manifest,
    write_artifact,
    write_rows,
)
from model.classifier import Classifier
from model.errors import ArtifactError
from model.taxonomy import load_taxonomy
from tests.training.tiny import TAXONOMY

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def refused(folder: Path, *named: str) -> None:
    """Assert that no way of reading the folder goes further than one line of error."""
    for read in (read_artifact, Classifier.load):
        with pytest.raises(ArtifactError) as caught:
            read(folder)
        line = str(caught.value)
        assert "\n" not in line
        assert all(name in line for name in named), line


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Change the manifest of a folder and nothing else."""
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    return folder


def test_a_whole_folder_is_read(tiny):
    artifact = read_artifact(tiny)
    assert artifact.name == "hotel-1"
    assert artifact.rows.ids == (
        "room.clean",
        "room.noise",
        "food.breakfast",
        "signal:pest",
        "comment",
    )
    assert artifact.check_fit(load_taxonomy(tiny / "labels.toml")) == ()


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    refused(copied, name, "missing")


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_folder_where_a_file_belongs_is_an_error(copied, name):
    (copied / name).unlink()
    (copied / name).mkdir()
    refused(copied, name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_file_that_was_cut_short_is_named_with_its_size(copied, name, kept):
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[: int(len(content) * kept)])
    refused(copied, name, f"not {len(content)}", "cut short")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_changed_is_named(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    refused(copied, name, "checksum")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"format": ' + b"9" * 5000 + b"}",
        b'{"format": 1, "name": "\\ud800"}',
        "{'format': 1}".encode("utf-16"),
    ],
)
def test_a_manifest_that_is_no_json_is_named(copied, content):
    (copied / MANIFEST).write_bytes(content)
    refused(copied, MANIFEST, "is not JSON in UTF-8")


@pytest.mark.parametrize("content", ["[]", "3", '"x"', "null", "{}", '{"format": 2}'])
def test_another_format_is_refused_with_the_one_that_would_be_right(copied, content):
    (copied / MANIFEST).write_text(content)
    refused(copied, MANIFEST, "reads format 1")


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("files", []),
        ("files", {"model.onnx": []}),
        ("files", {"model.onnx": {"bytes": True, "sha256": "0"}}),
        ("taxonomy", 3),
        ("taxonomy", {}),
        ("taxonomy", {"terms": ["room.clean"]}),
        ("taxonomy", {"terms": {"room.clean": 3}}),
        ("calibration", "x"),
        ("calibration", {}),
        ("languages", "de"),
        ("languages", [1]),
        ("max_tokens", "64"),
        ("max_tokens", 64.0),
        ("max_tokens", 2),
        ("max_tokens", True),
        ("name", None),
        ("name", ""),
        ("name", "two\nlines"),
    ],
)
def test_a_manifest_with_another_kind_of_value_is_an_error_that_names_the_key(copied, key, wrong):
    refused(changed(copied, lambda manifest: manifest.update({key: wrong})), key)


@pytest.mark.parametrize(
    "key", ["name", "taxonomy", "languages", "max_tokens", "calibration", "files"]
)
def test_a_manifest_without_a_key_is_an_error_that_names_it(copied, key):
    refused(changed(copied, lambda manifest: manifest.pop(key)), key)


def test_a_manifest_without_a_checksum_is_an_error(copied):
    for name in FILES:
        refused(changed(copied, lambda m, name=name: m["files"].pop(name)), "files")


@given(key=st.sampled_from(["name", "taxonomy", "languages", "max_tokens", "files"]), value=JSON)
def test_whatever_stands_in_a_manifest_it_is_read_or_refused_in_one_line(
    tmp_path_factory, tiny, key, value
):
    folder = tmp_path_factory.mktemp("model")
    manifest = json.loads((tiny / MANIFEST).read_text("utf-8")) | {key: value}
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    problem = ""
    try:
        read_manifest(folder)
    except ArtifactError as error:
        problem = str(error)
    assert len(problem.splitlines()) <= 1


def test_a_folder_that_is_none_is_an_error(tmp_path):
    refused(tmp_path / "nothing", MANIFEST, "missing")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", MANIFEST)


def test_rows_and_manifest_must_name_the_same(copied):
    manifest = read_manifest(copied)
    terms = manifest["taxonomy"]["terms"]
    manifest["taxonomy"]["terms"] = dict(reversed(terms.items()))
    write_artifact(copied, manifest)
    refused(copied, "labels.npz", "different rows")


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 no archive",
        npz(ids=np.array(["a"])),
        npz(ids=np.array([{}], dtype=object)),
        npz(ids=np.array(3)),
        b"\x93NUMPY\x01\x00",
    ],
    ids=["empty", "broken", "other", "pickled", "no list", "single"],
)
def test_rows_that_cannot_be_read_are_an_error_even_if_their_checksum_is_right(copied, content):
    manifest = read_manifest(copied)
    (copied / "labels.npz").write_bytes(content)
    write_artifact(copied, manifest)
    refused(copied, "labels.npz")


@pytest.mark.parametrize("name", ["own", "bias", "shared", "centre", "image", "norm"])
def test_rows_of_another_shape_are_an_error(copied, name):
    manifest, path = read_manifest(copied), copied / "labels.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays[name] = arrays[name][..., :-1]
    np.savez(path, **arrays)
    write_artifact(copied, manifest)
    refused(copied, "labels.npz", "shape")


def test_rows_come_back_as_they_were_written(tiny, tmp_path):
    rows = read_artifact(tiny).rows
    write_rows(tmp_path / "labels.npz", rows)
    assert (tmp_path / "labels.npz").read_bytes() == (tiny / "labels.npz").read_bytes()


def taxonomy_of(folder: Path, *changes: tuple[str, str]) -> Any:
    text = TAXONOMY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "other.toml").write_text(text, "utf-8")
    return load_taxonomy(folder / "other.toml")


NOISE = TAXONOMY[TAXONOMY.index('[labels."room.noise"]') : TAXONOMY.index('[labels."food')]
NEW = '[labels."room.view"]\nen = "View"\nde = "Aussicht"\nmeans = { en = "a", de = "b" }\n'


def test_a_label_that_the_taxonomy_lost_is_an_error(tiny, tmp_path):
    with pytest.raises(ArtifactError, match=r"'room\.noise', which the taxonomy lost"):
        Classifier.load(tiny, taxonomy=taxonomy_of(tmp_path, (NOISE, "")))


@pytest.mark.parametrize("old", ["Lärm in der Nacht", "insects or mice were seen"])
def test_a_label_or_signal_with_another_meaning_is_an_error(tiny, tmp_path, old):
    with pytest.raises(ArtifactError, match="another meaning of"):
        Classifier.load(tiny, taxonomy=taxonomy_of(tmp_path, (old, "something else")))


def test_a_new_name_for_the_same_meaning_fits(tiny, tmp_path):
    taxonomy = taxonomy_of(tmp_path, ('de = "Lärm"', 'de = "Krach"'))
    assert read_artifact(tiny).check_fit(taxonomy) == ()


def test_a_retired_label_fits_and_a_new_one_is_untrained(tiny, tmp_path):
    retired = taxonomy_of(
        tmp_path, (NOISE, NOISE + "retired = true\n" + NEW.replace("View", "Vista"))
    )
    assert read_artifact(tiny).check_fit(retired) == ("room.view",)
