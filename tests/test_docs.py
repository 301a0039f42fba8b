import json
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from model.cli import GROUP, HELP
from serving.answers import result_json
from serving.service import load_service
from serving.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_stands_in_the_readme(name):
    assert f"`{PREFIX}{name.upper()}`" in README


@pytest.mark.parametrize("name", sorted(entry.name for entry in entry_points(group=GROUP)))
def test_every_command_stands_in_the_readme_and_on_the_help_page(name):
    assert f"echolot {name}" in README
    assert HELP[name]


def test_every_file_that_the_readme_names_exists():
    linked = re.findall(
        r"`((?:model|training|serving|data|docs|tests|benchmarks)/[\w./-]+)`", README
    )
    assert linked
    for name in linked:
        if not name.startswith("data/local"):
            assert (ROOT / name).exists(), name


def without_confidence(value):
    if isinstance(value, dict):
        return {k: without_confidence(v) for k, v in value.items() if "confidence" not in k}
    return [without_confidence(v) for v in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_the_request_of_the_readme_gets_the_answer_of_the_readme():
    request = json.loads(re.search(r"-d '(\{.*?\})'", README, re.DOTALL)[1])
    answer = json.loads(re.search(r"```json\n(.*?)```", README, re.DOTALL)[1])
    service = load_service(Settings())
    results = [
        result_json(result, taxonomy=service.taxonomy)
        for result in service.answer(request["comments"])
    ]
    assert answer["model"] == service.model
    assert answer["taxonomy"] == service.fingerprint
    assert without_confidence(answer["results"]) == without_confidence(results)
