"""What comments in languages get that the model was not trained on, and how many are flagged.

    python -m benchmarks.languages [--model NAME]

The comments (`data/languages/`) were written for this, thirty a language on the same list of
topics, and are plainer than customers' own: read the figures as an upper end.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from model.classifier import Classifier
from model.registry import resolve
from model.taxonomy import Taxonomy
from serving.service import load_service
from serving.settings import load_settings
from training.corpus import Example, read_examples
from training.evaluate import comments_of
from training.metrics import judge

SHOWN = ("label_micro_f1", "label_sentiment_micro_f1", "area_micro_f1", "sentiment_accuracy")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model")
    parser.add_argument("--data-dir", type=Path, default=Path("data/local"))
    arguments = parser.parse_args()
    classifier = Classifier.load(resolve(arguments.model, data_dir=arguments.data_dir))
    service = load_service(load_settings().model_copy(update={"model": arguments.model}))
    print("| language | comments | label | with sentiment | area | comment sentiment | flagged |")
    print("|---|---|---|---|---|---|---|")
    for language, examples in sets(classifier.taxonomy):
        said = classifier.classify(comments_of(examples))
        figures = judge(examples, said, taxonomy=classifier.taxonomy).summary()
        asked = [{"comment": example.text, "score": example.score} for example in examples]
        worded = [r for r, e in zip(service.answer(asked), examples, strict=True) if e.labels]
        flagged = sum(result.needs_review for result in worded) / len(worded)
        cells = [f"{figures[name]:.3f}" for name in SHOWN]
        print(f"| {language} | {len(examples)} | {' | '.join(cells)} | {flagged:.0%} |")


def sets(taxonomy: Taxonomy) -> Iterator[tuple[str, Sequence[Example]]]:
    """Yield language and comments."""
    for file in sorted(Path("data/languages").glob("*.jsonl")):
        yield file.stem, read_examples(file, taxonomy=taxonomy)


if __name__ == "__main__":
    main()
