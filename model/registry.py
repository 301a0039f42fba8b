"""Which models there are: the shipped one, and folders under `<data dir>/models`.

A folder whose name begins with a dot is one that is being written.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from model.artifact import MANIFEST
from model.errors import ArtifactError, suggest

SHIPPED = "shipped"


def shipped_folder() -> Path:
    """Return the folder of the model that comes with Echolot."""
    return Path(str(files("model"))) / SHIPPED


def list_models(*, data_dir: Path) -> dict[str, Path]:
    """Return name -> folder of every model at hand, the shipped one first."""
    found = {}
    if (shipped_folder() / MANIFEST).is_file():
        found[SHIPPED] = shipped_folder()
    for manifest in sorted((data_dir / "models").glob(f"[!.]*/{MANIFEST}")):
        found.setdefault(manifest.parent.name, manifest.parent)
    return found


def resolve(name: str | None, *, data_dir: Path) -> Path:
    """Return the folder of a model: by name, by path, or the shipped one for None.

    Raises `ArtifactError` where there is none.
    """
    name = SHIPPED if name is None else name
    models = list_models(data_dir=data_dir)
    if name in models:
        return models[name]
    try:
        folder = Path(name).is_dir()
    except OSError:  # a name that no file system takes
        folder = False
    if not folder:
        raise ArtifactError(f"no model or model folder {name!r}; {suggest(name, models)}")
    return Path(name)
