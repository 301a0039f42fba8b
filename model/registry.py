"""Which models there are: the shipped one, and folders under `<data dir>/models`.

A folder whose name begins with a dot is one that is being written. `production.json` beside them
says which one answers where none is named: the last of those that were promoted.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from importlib.resources import files
from pathlib import Path

from model.artifact import MANIFEST, read_artifact
from model.errors import ArtifactError, suggest

SHIPPED = "shipped"
PRODUCTION = "production.json"
REMEMBERED = 20  # promotions that can be rolled back


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
    """Return the folder of a model: by name, by path, or for None the one in production.

    Raises `ArtifactError` where there is none.
    """
    models = list_models(data_dir=data_dir)
    if name is None:
        name = in_production(data_dir=data_dir)
        if name not in models and name != SHIPPED:
            raise ArtifactError(
                f"{_pointer(data_dir)}: {name!r} was promoted and is gone; put it back, or promote"
                f" another: {suggest(name, models)}"
            )
    if name in models:
        return models[name]
    try:
        folder = Path(name).is_dir()
    except OSError:  # a name that no file system takes
        folder = False
    if not folder:
        raise ArtifactError(f"no model or model folder {name!r}; {suggest(name, models)}")
    return Path(name)


def version_of(folder: Path) -> str:
    """Return what changes when another model is found in a folder, or the folder is another.

    Raises `ArtifactError` where it holds no model.
    """
    try:
        manifest = (folder / MANIFEST).read_bytes()
    except OSError:
        raise ArtifactError(f"{folder}: is no model folder ({MANIFEST} is missing)") from None
    return f"{folder.resolve()}@{hashlib.sha256(manifest).hexdigest()}"


def in_production(*, data_dir: Path) -> str:
    """Return the name of the model that answers where none is named: promoted, else shipped."""
    promoted = _promoted(data_dir)
    return promoted[-1] if promoted else SHIPPED


def promote(name: str, *, data_dir: Path) -> None:
    """Put a model at hand into production, once all of it was checked.

    Raises `ArtifactError` for a name that is not at hand, and for a damaged model.
    """
    models = list_models(data_dir=data_dir)
    if name not in models:
        raise ArtifactError(f"no model {name!r} to promote; {suggest(name, models)}")
    read_artifact(models[name])
    promoted = _promoted(data_dir)
    if in_production(data_dir=data_dir) != name:
        _write(data_dir, [*promoted, name])


def roll_back(*, data_dir: Path) -> str:
    """Take back the last promotion; return the name of the model that is in production again.

    Raises `ArtifactError` where nothing was promoted, and where the model before is damaged.
    """
    promoted = _promoted(data_dir)
    if not promoted:
        raise ArtifactError(f"{_pointer(data_dir)}: nothing was promoted that could be taken back")
    before = promoted[-2] if len(promoted) > 1 else SHIPPED
    read_artifact(resolve(before, data_dir=data_dir))
    _write(data_dir, promoted[:-1])
    return before


def _pointer(data_dir: Path) -> Path:
    return data_dir / "models" / PRODUCTION


def _promoted(data_dir: Path) -> list[str]:
    """Return the names of the models that were promoted, the last one last."""
    path = _pointer(data_dir)
    try:
        promoted = json.loads(path.read_text("utf-8"))["promoted"]
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise ArtifactError(f"{path}: cannot be read ({problem.strerror})") from None
    except (ValueError, LookupError, TypeError, RecursionError):
        promoted = None
    if not isinstance(promoted, list) or not all(isinstance(name, str) for name in promoted):
        raise ArtifactError(
            f"{path}: must be an object with a list of names under promoted; remove the file for"
            " the shipped model, or put back a copy"
        )
    return promoted


def _write(data_dir: Path, promoted: list[str]) -> None:
    path = _pointer(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whoever reads at this moment finds the old file or the new one, never half of it.
    new = path.with_name(f".{PRODUCTION}.{secrets.token_hex(4)}")
    new.write_text(json.dumps({"promoted": promoted[-REMEMBERED:]}, indent=1) + "\n", "utf-8")
    new.replace(path)
