from dataclasses import replace

import numpy as np
import pytest

from model.calibration import Calibration, Scaling
from model.records import SENTIMENTS
from training.calibrate import LIMITS, fit_calibration, fit_evidence
from training.corpus import Example, LabelNote

LABELS = ["room.clean", "room.noise", "food.breakfast"]
SIGNAL, COMMENT = 3, 4
COUNT = 1500


@pytest.fixture
def taxonomy(parts):
    return parts.taxonomy


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def drawn(*, slope=1.0, intercept=0.0, rare=0.0, seed=1):
    """Return logits and examples drawn from them: Platt scaling, a temperature of 2 for moods."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(COUNT, 5, 4)) * 2
    odds = np.log(np.exp(logits[:, :3, 1:]).sum(-1)) - logits[:, :3, 0]
    present = rng.random((COUNT, 3)) < sigmoid(slope * odds + intercept - rare)
    warned = rng.random(COUNT) < sigmoid(logits[:, SIGNAL, 1] - logits[:, SIGNAL, 0])
    cooled = np.exp(logits[..., 1:] / 2)
    cumulated = (cooled / cooled.sum(-1, keepdims=True)).cumsum(-1)
    moods = (rng.random((COUNT, 5, 1)) > cumulated).sum(-1).clip(0, 2)
    examples = []
    for i in range(COUNT):
        notes = {
            label: LabelNote(sentiment=SENTIMENTS[moods[i, row]])
            for row, label in enumerate(LABELS)
            if present[i, row]
        }
        examples.append(
            Example(
                id=str(i),
                text="x",
                language="de",
                labels=notes,
                absent=frozenset(LABELS) - set(notes),
                signals=frozenset({"pest"} if warned[i] else ()),
                sentiment=SENTIMENTS[moods[i, COMMENT]],
            )
        )
    return logits.astype(np.float32), examples


def test_the_numbers_that_made_the_data_are_found_again(taxonomy):
    logits, examples = drawn(slope=0.5, intercept=-0.7)
    found = fit_calibration(logits, examples, taxonomy=taxonomy)
    assert found.labels.slope == pytest.approx(0.5, abs=0.06)
    assert found.labels.intercept == pytest.approx(-0.7, abs=0.15)
    assert found.signals.slope == pytest.approx(1.0, abs=0.15)
    assert found.mood_temperature == pytest.approx(2.0, rel=0.25)
    assert found.feeling_temperature == pytest.approx(2.0, rel=0.25)


def test_thresholds_stay_within_their_limits_and_are_chosen_by_f1(taxonomy):
    logits, examples = drawn()
    found = fit_calibration(logits, examples, taxonomy=taxonomy)
    assert set(found.thresholds) == {*LABELS, "signal:pest"}
    every = [*found.thresholds.values(), found.shared_label_threshold]
    assert all(LIMITS[0] <= threshold <= LIMITS[1] for threshold in every)
    probability = found.presence(logits[:, 0])
    truth = np.array([LABELS[0] in example.labels for example in examples])

    def f1(threshold):
        chosen = probability >= threshold
        return 2 * (chosen & truth).sum() / (chosen.sum() + truth.sum())

    best = max(f1(threshold) for threshold in np.arange(*LIMITS, 0.01))
    assert f1(found.thresholds[LABELS[0]]) >= best - 0.006


def test_a_label_with_fewer_than_twenty_cases_takes_the_shared_threshold(taxonomy):
    logits, examples = drawn()
    cases = [i for i, example in enumerate(examples) if LABELS[1] in example.labels]
    for i in cases[19:]:
        kept = {key: note for key, note in examples[i].labels.items() if key != LABELS[1]}
        examples[i] = replace(examples[i], labels=kept)
    found = fit_calibration(logits, examples, taxonomy=taxonomy)
    assert LABELS[1] not in found.thresholds
    assert found.label_threshold(LABELS[1]) == found.shared_label_threshold
    assert LABELS[0] in found.thresholds


def test_without_a_case_everything_stays_as_it_is(taxonomy):
    logits, examples = drawn()
    bare = [
        replace(
            example,
            labels={},
            absent=frozenset(LABELS),
            signals=frozenset(),
            sentiment=None,
        )
        for example in examples
    ]
    assert fit_calibration(logits, bare, taxonomy=taxonomy) == Calibration()


def test_what_nobody_annotated_is_not_fitted(taxonomy):
    logits, examples = drawn(slope=0.5)
    open_ones = [Example(id="o", text="x", language="de") for _ in range(COUNT)]
    alone = fit_calibration(logits, examples, taxonomy=taxonomy)
    noise = np.random.default_rng(5).normal(size=logits.shape).astype(np.float32) * 9
    both = fit_calibration(
        np.concatenate([logits, noise]), [*examples, *open_ones], taxonomy=taxonomy
    )
    assert both == alone


def test_a_taxonomy_without_signals_is_calibrated_too(taxonomy):
    logits, examples = drawn()
    quiet = [replace(example, signals=None) for example in examples]
    without = np.delete(logits, SIGNAL, axis=1)
    found = fit_calibration(without, quiet, taxonomy=replace(taxonomy, signals={}))
    assert found.signals == Scaling()
    assert set(found.thresholds) == set(LABELS)


def test_evidence_takes_the_shift_and_the_cost_that_score_best():
    def score(choice):
        return -abs(choice.evidence_shift + 1.0) - abs(choice.clause_cost - 4.0)

    base = Calibration(mood_temperature=1.7)
    assert fit_evidence(base, score) == replace(base, evidence_shift=-1.0, clause_cost=4.0)


def test_a_signal_whose_misses_are_dear_is_raised_sooner(taxonomy):
    logits, examples = drawn()
    by_f1 = fit_calibration(logits, examples, taxonomy=taxonomy)
    by_cost = fit_calibration(logits, examples, taxonomy=taxonomy, miss_costs={"pest": 9.0})
    assert by_cost.signal_threshold("pest") == 0.1 < by_f1.signal_threshold("pest")
    assert by_cost.label_threshold(LABELS[0]) == by_f1.label_threshold(LABELS[0])
    probability = by_cost.warning(logits[:, SIGNAL])
    truth = np.array(["pest" in example.signals for example in examples])

    def cost(threshold):
        said = probability >= threshold
        return 9 * (truth & ~said).sum() + (said & ~truth).sum()

    assert cost(0.1) < cost(by_f1.signal_threshold("pest"))
