"""The last step of a run: manifest, model card, and the artefact put where the registry looks."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from model.artifact import write_artifact
from model.calibration import Calibration
from model.taxonomy import Taxonomy
from training.config import RunConfig

CARD = "MODEL_CARD.md"
_LIBRARIES = ("torch", "transformers", "onnx", "onnxruntime", "tokenizers", "numpy")


def manifest_of(
    run: RunConfig,
    *,
    taxonomy: Taxonomy,
    encoder: dict[str, Any],
    calibration: Calibration,
    data: dict[str, Any],
    parity: dict[str, float],
    metrics: dict[str, Any],
) -> dict[str, Any]:
    """Return what the manifest says of a model, but for format and checksums."""
    return {
        "name": run.name,
        "created": datetime.now(UTC).date().isoformat(),
        "languages": list(run.languages),
        "max_tokens": run.max_tokens,
        "taxonomy": {
            "fingerprint": taxonomy.fingerprint(),
            "terms": taxonomy.term_fingerprints(),
        },
        "encoder": encoder,
        "data": data,
        "calibration": calibration.to_manifest(),
        "parity": parity,
        "metrics": metrics,
        "run": run.model_dump(mode="json"),
        "versions": {name: version(name) for name in _LIBRARIES},
    }


def write_card(folder: Path, *, manifest: dict[str, Any], report: str) -> None:
    """Write the model card: where the model comes from, its figures, what it cannot do."""
    run, data, parity = manifest["run"], manifest["data"], manifest["parity"]
    made = f"{run['epochs']} epochs, seed {run['seed']}"
    if run["base"]:
        made = f"`{run['base']}`, {made}"
    if run["start"] and not run["base"]:
        made += f",\ngoing on from the model `{run['start']}`"
    elif run["start"]:
        made += f",\ngoing on from the weights of `{Path(run['start']).parent.name}`"
    sources = "\n".join(
        f"- `{Path(source['path']).parent.name}/{Path(source['path']).name}`: "
        f"{source['examples']} comments"
        + (", coarse labels through a mapping" if source["mapping"] else "")
        for source in data["train"]
    )
    if teacher := run.get("teacher"):
        names = ", ".join(f"`{name}`" for name in teacher["models"])
        sources += f"\n- {data['unlabelled']} comments without labels"
        sources += f"\n\nOn all of these it also learnt what {names} say."
    card = f"""# {manifest["name"]}

Made {manifest["created"]} by `echolot train` from {made}.
Languages: {", ".join(manifest["languages"])}; text in others is flagged for review.
Taxonomy {manifest["taxonomy"]["fingerprint"]}, data {data["fingerprint"]}.

## What it was trained on

{sources}

Thresholds and calibration were fitted on {data["tune"]} further comments; the figures below are on
{data["test"]} others that no training run saw. See `data/README.md` for what is real, authored and
machine-labelled, and for the licences.

## Figures

`coarse`: comments whose annotators knew only wider labels; a set of ours counts as found where one
of its labels is. `tfidf-svm` learnt from the same training data and is judged by its labels as the
model is; `tfidf-svm for sets` has machines of its own for just the sets that the coarse data knows.
`keywords` are the shipped word lists.

{report}
## Exported

int8 with static activation scales. Against torch in float32 a probability moves by
{parity["int8_probability_mean"]:.4f} on average and {parity["int8_probability_max"]:.3f} at most;
{parity["int8_decisions_changed"]:.2%} of decisions at .5 change. The float graph differs from torch
by {parity["float_logit_max"]:.6f} in a logit at most.

## What it cannot do

- It reads one comment at a time and knows nothing of the order, the customer or the product.
- Irony, quotes of others and comparisons with other companies are often misread.
- Labels with few cases in the tables above are the least sure; a figure over fewer than twenty
  cases may be off by ten points and more.
- It was labelled by language models that read each comment by written rules, not by several people.
- Confidence is calibrated on comments like those of its tuning data; other trades may differ.
"""
    (folder / CARD).write_text(card, encoding="utf-8")


def publish(built: Path, *, models: Path, name: str, manifest: dict[str, Any]) -> Path:
    """Write the manifest and copy the folder to `models/name`, replacing an older one."""
    write_artifact(built, manifest)
    target = models / name
    models.mkdir(parents=True, exist_ok=True)
    # Beside `models`, not in it: half a copy is never taken for a model.
    fresh = models.parent / f"{name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(built, fresh)
    shutil.rmtree(target, ignore_errors=True)
    fresh.replace(target)
    return target
