"""What the cache of short comments brings on a file of comments, in the order of the file.

    python -m benchmarks.cache comments.jsonl [--sample 1000] [--rounds 3]

First the share of all comments that the cache answers, by its two settings; this needs no model.
Then comments a second of the shipped model without and with the cache (default settings), over the
first `--sample` comments in lists of 16, alternated, each round with an empty cache.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from benchmarks.machine import describe_machine
from model.records import Comment, Prediction
from serving.caching import PredictionCache
from serving.service import load_service
from serving.settings import Settings

CHARACTERS = (20, 40, 60, 100)
ENTRIES = (100, 1_000, 10_000)
LIST = 16


def read_comments(path: Path) -> list[Comment]:
    found = []
    with path.open(encoding="utf-8") as lines:
        for n, line in enumerate(lines):
            record = json.loads(line)
            text = record.get("comment") or record.get("text") or ""
            if text.strip():
                found.append(Comment(id=str(n), text=text))
    return found


def hit_rate(comments: list[Comment], *, entries: int, characters: int) -> float:
    cache = PredictionCache(entries=entries, characters=characters)
    nothing = Prediction(language="und", sentiment="neutral", confidence=1.0)
    for comment in comments:
        cache.predict([comment], lambda batch: [nothing] * len(batch))
    return cache.take_counts().hits / len(comments)


def rate(comments: list[Comment], *, settings: Settings) -> float:
    service = load_service(settings)
    service.judge([Comment(id="0", text="ok")])
    start = time.perf_counter()
    for n in range(0, len(comments), LIST):
        service.judge(comments[n : n + LIST])
    return len(comments) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comments", type=Path)
    parser.add_argument("--sample", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    comments = read_comments(chosen.comments)
    print(describe_machine())
    print(f"\n{len(comments)} comments of {chosen.comments.name}: share that the cache answers\n")
    print("| characters at most | of all comments |", *(f"{n} entries |" for n in ENTRIES))
    print("|---|---|" + "---|" * len(ENTRIES))
    for characters in CHARACTERS:
        short = sum(len(comment.text) <= characters for comment in comments) / len(comments)
        rates = [hit_rate(comments, entries=n, characters=characters) for n in ENTRIES]
        print(f"| {characters} | {short:.1%} |", *(f"{rate:.1%} |" for rate in rates))
    sample = comments[: chosen.sample]
    plain, cached = [], []
    for _ in range(chosen.rounds):
        plain.append(rate(sample, settings=Settings(threads=1, cache_entries=0)))
        cached.append(rate(sample, settings=Settings(threads=1)))
    ratios = [one / other for one, other in zip(cached, plain, strict=True)]
    hits = hit_rate(
        sample, entries=Settings().cache_entries, characters=Settings().cache_characters
    )
    print(f"\nThe first {len(sample)}, one thread, median of {chosen.rounds} rounds\n")
    print("| | comments a second |\n|---|---|")
    print(f"| without the cache | {statistics.median(plain):.0f} |")
    print(f"| with it ({hits:.1%} answered from it) | {statistics.median(cached):.0f} |")
    print(f"| ratio | {statistics.median(ratios):.2f} |")


if __name__ == "__main__":
    main()
