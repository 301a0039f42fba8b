import numpy as np
import pytest

from training.corpus import Example, LabelNote
from training.reliability import calibration_error, reliability

CLEAN, NOISE, MEAL = "room.clean", "room.noise", "food.breakfast"


def example(*present, absent=(CLEAN, NOISE, MEAL), **more):
    return Example(
        id="x",
        text="x",
        language="de",
        labels={label: LabelNote() for label in present},
        absent=frozenset(absent) - set(present),
        **more,
    )


def drawn(shares, *, seed=1):
    """Return examples whose first label is there as often as `shares` say."""
    there = np.random.default_rng(seed).random(len(shares)) < shares
    return [example(CLEAN) if found else example() for found in there]


def only_first(values):
    rows = np.zeros((len(values), 3), dtype=np.float32)
    rows[:, 0] = values
    return rows


def error(rows, examples, taxonomy):
    return calibration_error(reliability(rows, examples, taxonomy))


def test_confidences_that_mean_what_they_say_have_a_small_error(parts):
    shares = np.random.default_rng(0).uniform(0.2, 1, 6000)
    found = error(only_first(shares), drawn(shares), parts.taxonomy)
    assert found < 0.03


@pytest.mark.parametrize("too_much", [0.1, 0.25])
def test_the_error_is_by_how_much_a_model_is_too_sure(parts, too_much):
    shares = np.random.default_rng(0).uniform(0.3, 0.7, 6000)
    said = only_first(shares + too_much)
    assert error(said, drawn(shares), parts.taxonomy) == pytest.approx(too_much, abs=0.02)


def test_what_is_below_the_floor_or_not_annotated_does_not_count(parts):
    rows = np.array([[0.9, 0.1, 0.9], [0.9, 0.9, 0.9]], dtype=np.float32)
    known = example(CLEAN, absent=[NOISE])
    coarse = example(judged={(CLEAN, NOISE): True})
    assert error(rows, [known, coarse], parts.taxonomy) == pytest.approx(0.1, abs=1e-6)
    assert error(np.zeros((1, 3)), [known], parts.taxonomy) is None
