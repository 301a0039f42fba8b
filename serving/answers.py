"""A `Result` as the JSON that the API and the command line answer with: the same words in both."""

from __future__ import annotations

from typing import Any

from model.records import Evidence, LabelScore, Prediction, Result, SignalScore
from model.taxonomy import Taxonomy

# Six digits say all that a calibrated probability can; the rest is rounding of the machine.
DIGITS = 6


def result_json(result: Result, *, taxonomy: Taxonomy) -> dict[str, Any]:
    """Return the JSON object of a result; an error has `id` and `error` only."""
    if result.prediction is None or result.route is None:
        error = result.error
        if error is None:
            raise ValueError("a result holds a prediction with its route, or an error")
        return {"id": result.id, "error": {"code": error.code, "message": error.message}}
    route = result.route
    return {
        "id": result.id,
        **_prediction(result.prediction, result=result, taxonomy=taxonomy),
        "route": {
            "team": route.team,
            "priority": route.priority,
            "due_hours": route.due_hours,
            "actions": list(route.actions),
            "rule": route.rule,
            "also": list(route.also),
        },
        "needs_review": result.needs_review,
        "review_reasons": list(result.review_reasons),
        **({"truncated": True} if result.prediction.truncated else {}),
    }


def _prediction(prediction: Prediction, *, result: Result, taxonomy: Taxonomy) -> dict[str, Any]:
    return {
        "language": prediction.language,
        "score_type": result.segment,
        "sentiment": prediction.sentiment,
        "confidence": round(prediction.confidence, DIGITS),
        "labels": [_label(score, taxonomy=taxonomy) for score in prediction.labels],
        "signals": [_signal(score, taxonomy=taxonomy) for score in prediction.signals],
    }


def _label(score: LabelScore, *, taxonomy: Taxonomy) -> dict[str, Any]:
    return {
        "label": score.label,
        "name": dict(taxonomy.labels[score.label].name),
        "area": score.area,
        "sentiment": score.sentiment,
        "confidence": round(score.confidence, DIGITS),
        "sentiment_confidence": round(score.sentiment_confidence, DIGITS),
        "evidence": [_evidence(run) for run in score.evidence],
        **({"untrained": True} if score.untrained else {}),
    }


def _signal(score: SignalScore, *, taxonomy: Taxonomy) -> dict[str, Any]:
    return {
        "signal": score.signal,
        "name": dict(taxonomy.signals[score.signal].name),
        "confidence": round(score.confidence, DIGITS),
        "evidence": [_evidence(run) for run in score.evidence],
    }


def _evidence(run: Evidence) -> dict[str, Any]:
    return {"start": run.start, "end": run.end, "text": run.text}
