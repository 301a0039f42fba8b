"""One line on machine and versions, for the head of a table."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("onnxruntime", "tokenizers", "numpy", "fastapi", "uvicorn")


def describe_machine(*more: str) -> str:
    """Return processor, its eight-bit extensions, cores that may be used, and versions.

    `more` are libraries beside those of the base install.
    """
    facts = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":", 1)[1] for line in facts.splitlines() if line.startswith("model name")]
    name = names[0].strip() if names else platform.processor()
    extensions = [word for word in ("amx_int8", "avx512_vnni", "avx_vnni") if word in facts.split()]
    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{library} {version(library)}" for library in (*LIBRARIES, *more))
    python = platform.python_version()
    return f"{name} ({', '.join(extensions)}), {cores} cores, Python {python}, {versions}"
