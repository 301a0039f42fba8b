from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model.errors import ArtifactError
from model.registry import SHIPPED, list_models, resolve, shipped_folder


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


@pytest.mark.slow
def test_the_shipped_model_is_the_one_without_a_name(tmp_path):
    assert resolve(None, data_dir=tmp_path) == shipped_folder()
    assert next(iter(list_models(data_dir=tmp_path))) == SHIPPED
