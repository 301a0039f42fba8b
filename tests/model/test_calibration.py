from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from model.calibration import (
    Calibration,
    Scaling,
    presence_log_odds,
    signal_log_odds,
    softmax,
)
from model.errors import ArtifactError

CALIBRATION = Calibration(
    labels=Scaling(slope=1.5, intercept=-0.5),
    mood_temperature=2.0,
    thresholds={"bread.crust": 0.7, "signal:mould": 0.2},
)


def logits(*rows: list[float]) -> Any:
    return np.array(rows, dtype=np.float32)


def test_presence_is_the_softmax_of_any_sentiment_against_absence():
    rows = logits([1.0, 0.0, -1.0, 2.0], [3.0, -2.0, 0.5, 0.5])
    assert Calibration().presence(rows) == pytest.approx(1 - softmax(rows)[..., 0], abs=1e-6)


def test_a_signal_weighs_its_first_two_logits_only():
    assert signal_log_odds(logits([1.0, 3.0, 50.0, -50.0])) == pytest.approx([2.0])


@pytest.mark.filterwarnings("error")
def test_great_logits_overflow_nowhere():
    rows = logits([-500.0, 500.0, 0.0, 0.0], [500.0, -500.0, -500.0, -500.0])
    calibration = Calibration(labels=Scaling(slope=20.0))
    assert calibration.presence(rows) == pytest.approx([1.0, 0.0])
    assert calibration.warning(rows) == pytest.approx([1.0, 0.0])
    assert np.isfinite(calibration.mood(rows)).all()
    assert presence_log_odds(rows) == pytest.approx([1000.0, -1000.0 + math.log(3)], rel=1e-5)


def test_a_temperature_above_one_makes_sentiments_less_sure_and_changes_none():
    rows = logits([0.0, 3.0, 1.0, 0.0])
    warm, plain = CALIBRATION.mood(rows)[0], Calibration().mood(rows)[0]
    assert warm.argmax() == plain.argmax() == 0
    assert warm.max() < plain.max()
    assert warm.sum() == pytest.approx(1.0)


def test_a_row_without_a_threshold_of_its_own_takes_the_shared_one():
    assert CALIBRATION.label_threshold("bread.crust") == 0.7
    assert CALIBRATION.label_threshold("mould") == 0.5
    assert CALIBRATION.signal_threshold("mould") == 0.2
    assert CALIBRATION.signal_threshold("bread.crust") == 0.5


def test_the_manifest_gives_back_what_was_written_to_it():
    stored = json.loads(json.dumps(CALIBRATION.to_manifest()))
    assert Calibration.from_manifest(stored) == CALIBRATION


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"labels": 3}, "calibration.labels must be a table"),
        ({"labels": {"slope": 1.0}}, "'intercept' is missing"),
        ({"labels": {"slope": 0.0, "intercept": 0.0}}, "'slope' must be greater than 0"),
        ({"signals": {"slope": "1", "intercept": 0.0}}, "'slope' must be a number, not '1'"),
        ({"thresholds": []}, "calibration.thresholds must be a table"),
        ({"thresholds": {"bread.crust": None}}, "'bread.crust' must be a number"),
        ({"mood_temperature": 0}, "'mood_temperature' must be greater than 0"),
        ({"mood_temperature": True}, "'mood_temperature' must be a number"),
        ({"evidence_shift": math.nan}, "'evidence_shift' must be a number"),
        ({"evidence_shift": 10**400}, "'evidence_shift' must be a number"),
        ({"clause_cost": [1]}, "'clause_cost' must be a number"),
        ({"sharpness": 1.0}, "'sharpness' is not known to this version"),
    ],
)
def test_a_manifest_that_does_not_fit_is_an_error_that_names_the_key(changes, key):
    with pytest.raises(ArtifactError) as caught:
        Calibration.from_manifest(CALIBRATION.to_manifest() | changes)
    assert key in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raw", ["x", 3, None, [], {}])
def test_what_is_no_calibration_at_all_is_an_error(raw):
    with pytest.raises(ArtifactError, match="calibration"):
        Calibration.from_manifest(raw)
