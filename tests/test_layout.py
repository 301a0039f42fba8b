"""What holds of the house as a whole: names, sizes, and who may import what."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from model.taxonomy import load_taxonomy

ROOT = Path(__file__).parent.parent
FOLDERS = ("model", "serving", "training")
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
MAX_LINES = 400


@pytest.mark.parametrize("name", FOLDERS)
def test_the_names_of_the_packages_are_ours_alone(name):
    assert set(packages_distributions()[name]) == {"echolot"}


def test_every_folder_of_tests_is_a_package():
    # Without tests/__init__.py pytest imports tests/model as `model` and hides the real one.
    assert (ROOT / "tests" / "__init__.py").is_file()
    for path in (ROOT / "tests").rglob("test_*.py"):
        assert (path.parent / "__init__.py").is_file(), path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_too_long_to_be_read(path):
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("module", ["serving.app", "serving.bulk", "model.classifier"])
def test_serving_and_classifying_import_nothing_that_training_needs(module):
    command = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, cwd=ROOT, check=True
    )
    loaded = done.stdout.split()
    assert module in loaded
    assert not {name.partition(".")[0] for name in loaded} & {
        "torch",
        "transformers",
        "spacy",
        "sklearn",
        "onnx",
        "training",
    }


def strings_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and value of every string that is no docstring or message of an error."""
    tree = ast.parse(path.read_text("utf-8"))
    passed: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):  # an example of what would have been right
            passed |= set(ast.walk(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in passed:
            yield node.lineno, node.value


def test_no_code_names_a_label():
    taxonomy = load_taxonomy()
    found = [
        f"{path.relative_to(ROOT)}:{line}: {label}"
        for path in MODULES
        for line, text in strings_of(path)
        for label in taxonomy.labels
        if label in text
    ]
    assert found == []
