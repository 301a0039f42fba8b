"""The settings of a service: environment variables `ECHOLOT_*`, each with a safe default.

They are read once and frozen. An unknown `ECHOLOT_` variable is an error: a misspelt key that
quietly left a server open would be worse than one that does not start. (Kubernetes sets such
variables for a Service named `echolot`; `enableServiceLinks: false` in the pod stops that.)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from model.errors import ConfigError, suggest
from serving.keys import ApiKey, parse_keys

PREFIX = "ECHOLOT_"


def _cores() -> int:
    # The cores that this process may use: in a container fewer than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads(settings: dict[str, Any]) -> int:
    return max(1, _cores() // int(settings.get("workers", 1)))


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _keys(value: Any) -> Any:
    return parse_keys(value) if isinstance(value, str) else value


class Settings(BaseSettings):
    """Everything that an operator can set. The docstring of a field is its line in the manual."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    host: str = "127.0.0.1"
    """Address to listen on; any but the loopback needs a key."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 takes a free one."""
    model: str | None = None
    """Name or folder of the model; the one in production if unset: promoted last, else shipped."""
    taxonomy: Path | None = None
    """Taxonomy file; the one that the model was trained on if unset."""
    routing: Path | None = None
    """Routing file; the shipped one if unset."""
    review_risk: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """How often the routes that are not flagged for review may be wrong, kept by a tested model."""
    data_dir: Path = Path("data/local")
    """Folder for everything that the service keeps."""
    api_keys: Annotated[tuple[ApiKey, ...], NoDecode, BeforeValidator(_keys)] = ()
    """Keys that may call: `name:sha256` pairs with commas between, from `echolot keys new`."""
    max_comments: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Comments in a request."""
    max_characters: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    """Characters of a comment that are read; of a longer one the head and the tail."""
    max_body_bytes: Annotated[int, Field(ge=1_024, le=1 << 30)] = 16 * 1024 * 1024
    """Bytes of a request body."""
    max_queue: Annotated[int, Field(ge=1)] = 4_000
    """Comments taken in and not answered yet; beyond it requests are told to come back (503)."""
    deadline_seconds: Annotated[float, Field(gt=0, le=3_600)] = 2.0
    """How long a request may wait for its turn; then, or once half of that is foreseen, 503."""
    rate_limit: Annotated[int, Field(ge=0)] = 0
    """Comments a minute that each key may send, 429 beyond; 0 for no limit."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes that answer; each counts its queue, limits and cache for itself. Linux only."""
    threads: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=_threads)
    """Threads of a worker that run the model; if unset the cores are shared out among workers."""
    cache_entries: Annotated[int, Field(ge=0, le=10_000_000)] = 10_000
    """Short comments whose answers are kept in memory, for when they come again; 0 for none."""
    cache_characters: Annotated[int, Field(ge=1, le=1_000)] = 60
    """Characters that a comment has at most whose answer is kept."""
    reload_seconds: Annotated[float, Field(ge=0, le=86_400)] = 5.0
    """How often to look whether another model was promoted; 0 for never. Needs no model set."""
    shutdown_seconds: Annotated[int, Field(ge=0, le=3_600)] = 30
    """How long a shutdown waits for the requests that were taken in."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        "info"
    )
    """The least severe level that is logged."""


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises `ConfigError` with one line: the variable, what is wrong with it, what would be right.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise ConfigError(f"environment: unknown setting {name}; {suggest(name, known)}")
    try:
        return Settings()
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise ConfigError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
