from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from serving.app import create_app
from serving.settings import Settings
from tests.fakes import word_service


@pytest.fixture
def settings() -> Settings:
    return Settings(threads=2)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(word_service(), settings)) as client:
        yield client
