"""What the benchmarks share: the comments that are read, and what machine and versions say."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

SHORT_CHARACTERS = 120  # a word more or less; about 17 tokens
LENGTHS = {
    "short": lambda texts: [shortened(text) for text in texts],
    "full": lambda texts: list(texts),
}
LIBRARIES = ("onnxruntime", "tokenizers", "numpy")


def read_texts(path: Path | None, *, limit: int) -> list[str]:
    """Return so many texts of a JSONL file, or of our own comments, from all over it."""
    files = [path] if path else sorted(Path("data/comments").glob("*.jsonl"))
    lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    records = [json.loads(line) for line in lines]
    texts = [record.get("text") or record.get("comment") or "" for record in records]
    step = max(1, len(texts) // limit)
    return texts[::step][:limit]


def shortened(text: str) -> str:
    """Return the words of a text that fit into `SHORT_CHARACTERS`."""
    return text if len(text) <= SHORT_CHARACTERS else text[:SHORT_CHARACTERS].rsplit(" ", 1)[0]


def machine(*more: str) -> str:
    """Return the processor, what int8 units it has, its cores, and versions, in one line."""
    flags, name = "", platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        table = dict(
            (part.strip() for part in line.split(":", 1))
            for line in cpuinfo.read_text().splitlines()
            if ":" in line
        )
        name, flags = table.get("model name", name), table.get("flags", "")
    units = [unit for unit in ("amx_int8", "avx512_vnni", "avx_vnni") if unit in flags.split()]
    versions = [f"{library} {version(library)}" for library in (*LIBRARIES, *more)]
    return ", ".join([name, " ".join(units) or "no int8 units", *versions])
