import numpy as np
import pytest

from training.baselines import TfidfScorer
from training.bootstrap import difference, interval, sums
from training.evaluate import comments_of
from training.metrics import judge


def hits(*values):
    """Return rows of a share: each comment is right (1) or wrong (0)."""
    return np.array([(value, 1.0) for value in values])


def test_an_interval_is_as_wide_as_the_theory_of_shares_says():
    rows = hits(*[1.0] * 300, *[0.0] * 100)
    found = interval(rows)
    width = 2 * 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert found.high - found.low == pytest.approx(width, rel=0.1)
    assert (found.high + found.low) / 2 == pytest.approx(0.75, abs=0.01)


def test_four_times_the_comments_halve_the_interval():
    few, many = (interval(hits(*[1.0, 0.0] * n)) for n in (50, 200))
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(2, rel=0.15)


def test_a_small_lead_on_the_same_comments_is_surer_than_two_intervals_say():
    rng = np.random.default_rng(3)
    theirs = (rng.random(400) < 0.7).astype(float)
    ours = theirs.copy()
    ours[np.flatnonzero(theirs == 0)[:16]] = 1  # right wherever the other is, and 16 times more
    lead = difference(hits(*ours), hits(*theirs))
    assert 0 < lead.low < 0.04 < lead.high
    assert interval(hits(*theirs)).high > interval(hits(*ours)).low


def test_two_that_are_alike_are_not_told_apart():
    rng = np.random.default_rng(4)
    one, other = (hits(*(rng.random(400) < 0.7).astype(float)) for _ in range(2))
    lead = difference(one, other)
    assert lead.low < 0 < lead.high


def test_what_was_never_judged_has_no_interval():
    assert interval(np.zeros((5, 2))) is None
    assert difference(np.zeros((5, 2)), hits(1, 0, 1, 0, 1)) is None


def test_the_sums_of_all_comments_give_the_figure_itself(parts):
    examples = [example for part in parts.data.train for example in part]
    predictions = (
        TfidfScorer(taxonomy=parts.taxonomy).fit(examples[::2]).classify(comments_of(examples))
    )
    found = sums(examples, predictions, taxonomy=parts.taxonomy)
    figures = judge(examples, predictions, taxonomy=parts.taxonomy).summary()
    for name in ("label_micro_f1", "label_sentiment_micro_f1", "sentiment_accuracy"):
        numerator, denominator = found[name].sum(0)
        assert numerator / denominator == pytest.approx(figures[name], abs=1e-4)
        assert figures[name] > 0
