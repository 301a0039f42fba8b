from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model.errors import ArtifactError
from model.registry import (
    SHIPPED,
    in_production,
    list_models,
    promote,
    resolve,
    roll_back,
    shipped_folder,
    version_of,
)


@pytest.fixture
def data_dir(tiny: Path, tmp_path: Path) -> Path:
    """Return a data folder with two models, one half written, and a folder that is none."""
    for name in ("hotel-1", "hotel-2", ".hotel-3.new"):
        shutil.copytree(tiny, tmp_path / "models" / name)
    (tmp_path / "models" / "notes").mkdir()
    return tmp_path


def own(models: dict[str, Path]) -> list[str]:
    return [name for name in models if name != SHIPPED]


def test_models_are_listed_by_name_and_half_written_ones_are_not(data_dir):
    models = list_models(data_dir=data_dir)
    assert own(models) == ["hotel-1", "hotel-2"]
    assert models["hotel-2"] == data_dir / "models" / "hotel-2"


def test_without_a_data_folder_there_is_no_model_of_ones_own(tmp_path):
    assert own(list_models(data_dir=tmp_path / "nothing")) == []


def test_no_model_of_ones_own_hides_the_shipped_one(data_dir):
    before = list_models(data_dir=data_dir).get(SHIPPED)
    (data_dir / "models" / "hotel-1").rename(data_dir / "models" / SHIPPED)
    expected = before or data_dir / "models" / SHIPPED
    assert list_models(data_dir=data_dir)[SHIPPED] == expected


def test_a_model_is_found_by_name_or_by_folder(data_dir):
    folder = data_dir / "models" / "hotel-1"
    assert resolve("hotel-1", data_dir=data_dir) == folder
    assert resolve(str(folder), data_dir=data_dir) == folder


def test_a_wrong_name_is_an_error_that_says_which_would_be_right(data_dir):
    with pytest.raises(ArtifactError, match=r"'hotel-11'; did you mean 'hotel-1'\?"):
        resolve("hotel-11", data_dir=data_dir)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "two\nlines", "\ud800"])
def test_a_name_that_no_folder_can_have_is_an_error_of_one_line(data_dir, name):
    with pytest.raises(ArtifactError) as caught:
        resolve(name, data_dir=data_dir)
    assert "\n" not in str(caught.value)


def test_the_model_in_production_is_the_one_without_a_name(data_dir):
    assert in_production(data_dir=data_dir) == SHIPPED
    promote("hotel-1", data_dir=data_dir)
    assert resolve(None, data_dir=data_dir) == data_dir / "models" / "hotel-1"
    promote("hotel-2", data_dir=data_dir)
    promote("hotel-2", data_dir=data_dir)
    assert in_production(data_dir=data_dir) == "hotel-2"
    # One that is named is taken, whatever is in production.
    assert resolve("hotel-1", data_dir=data_dir) == data_dir / "models" / "hotel-1"
    assert own(list_models(data_dir=data_dir)) == ["hotel-1", "hotel-2"]


def test_promotions_are_taken_back_one_by_one(data_dir):
    promote("hotel-1", data_dir=data_dir)
    promote("hotel-2", data_dir=data_dir)
    promote("hotel-1", data_dir=data_dir)
    assert roll_back(data_dir=data_dir) == "hotel-2"
    assert roll_back(data_dir=data_dir) == "hotel-1"
    assert in_production(data_dir=data_dir) == "hotel-1"


@pytest.mark.parametrize("name", ["hotel-11", "notes", ".hotel-3.new", "../models/hotel-1"])
def test_only_a_model_at_hand_is_promoted(data_dir, name):
    with pytest.raises(ArtifactError, match=r"to promote; (did you mean 'hotel-.'|known are)"):
        promote(name, data_dir=data_dir)
    assert in_production(data_dir=data_dir) == SHIPPED


def test_a_damaged_model_is_neither_promoted_nor_rolled_back_to(data_dir):
    promote("hotel-1", data_dir=data_dir)
    graph = data_dir / "models" / "hotel-2" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match="cut short"):
        promote("hotel-2", data_dir=data_dir)
    assert in_production(data_dir=data_dir) == "hotel-1"
    shutil.rmtree(data_dir / "models" / "hotel-2")
    shutil.copytree(data_dir / "models" / "hotel-1", data_dir / "models" / "hotel-2")
    promote("hotel-2", data_dir=data_dir)
    shutil.rmtree(data_dir / "models" / "hotel-1")
    with pytest.raises(ArtifactError, match="'hotel-1'; did you mean 'hotel-2'"):
        roll_back(data_dir=data_dir)
    assert in_production(data_dir=data_dir) == "hotel-2"


def test_there_is_nothing_to_roll_back_before_the_first_promotion(data_dir):
    with pytest.raises(ArtifactError, match="nothing was promoted"):
        roll_back(data_dir=data_dir)


def test_a_promoted_model_that_is_gone_is_an_error_and_not_the_shipped_one(data_dir):
    promote("hotel-2", data_dir=data_dir)
    shutil.rmtree(data_dir / "models" / "hotel-2")
    with pytest.raises(ArtifactError, match=r"'hotel-2' was promoted and is gone.*'hotel-1'"):
        resolve(None, data_dir=data_dir)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"promoted": 1}', '{"promoted": [1]}', "\xff", "[" * 100_000]
)
def test_a_damaged_note_of_what_is_in_production_is_an_error_of_one_line(data_dir, text):
    (data_dir / "models" / "production.json").write_text(text, encoding="latin-1")
    with pytest.raises(ArtifactError, match=r"production\.json: must be") as caught:
        resolve(None, data_dir=data_dir)
    assert "\n" not in str(caught.value)


def test_a_version_is_another_for_another_folder_and_for_another_model_in_it(data_dir):
    one, two = (data_dir / "models" / name for name in ("hotel-1", "hotel-2"))
    before = version_of(one)
    assert before == version_of(one)
    assert before != version_of(two)
    manifest = one / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace("hotel-1", "hotel-9"), "utf-8")
    assert version_of(one) != before
    with pytest.raises(ArtifactError, match="is no model folder"):
        version_of(data_dir / "models" / "notes")


@pytest.mark.slow
def test_rolling_back_the_first_promotion_gives_the_shipped_model(data_dir):
    promote("hotel-1", data_dir=data_dir)
    assert roll_back(data_dir=data_dir) == SHIPPED
    assert resolve(None, data_dir=data_dir) == shipped_folder()


@pytest.mark.slow
def test_the_shipped_model_is_the_one_without_a_name(tmp_path):
    assert resolve(None, data_dir=tmp_path) == shipped_folder()
    assert next(iter(list_models(data_dir=tmp_path))) == SHIPPED
