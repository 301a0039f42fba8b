"""The comments that benchmarks of the engine read: cut short and as they are."""

from __future__ import annotations

import json
from pathlib import Path

SHORT_CHARACTERS = 120  # a word more or less; about 17 tokens
LENGTHS = {
    "short": lambda texts: [shortened(text) for text in texts],
    "full": lambda texts: list(texts),
}


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
