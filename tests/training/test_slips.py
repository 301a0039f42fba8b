"""Slips of the pen: what they change, and that evidence stays where it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strange_texts import ANYTHING
from tests.training.test_finetune import trainer
from training.corpus import Example
from training.features import Featurizer
from training.slips import slipped


@given(ANYTHING, st.integers(0, 1000))
def test_a_slip_keeps_the_length_of_any_text(text, seed):
    example = Example(id="1", text=text, language="de")
    assert len(slipped(example, np.random.default_rng(seed)).text) == len(text)


@pytest.mark.parametrize(
    "text", ["Die Lieferung kam zu spät, schade.", "The delivery was late, what a pity."]
)
def test_slips_change_a_comment_and_leave_most_of_it(text):
    example = Example(id="1", text=text, language="de")
    found = {slipped(example, np.random.default_rng(seed)).text for seed in range(20)}
    assert len(found) > 5
    for other in found:
        same = sum(a.lower() == b.lower() for a, b in zip(text, other, strict=True))
        assert same >= 0.8 * len(text)


def test_a_run_reads_its_share_of_comments_with_slips(parts, tmp_path):
    run = parts.run.model_copy(update={"slips": 0.25})
    made = trainer(parts, tmp_path, run=run)
    featurizer: Featurizer = made.featurizer
    rng = np.random.default_rng(0)
    made.slipped = [
        featurizer.features([slipped(example, rng) for example in part])
        for part in parts.data.train
    ]
    whole = {id(feature) for part in made.train for feature in part}
    drawn = [feature for batch in made._plan(0) for feature in batch]
    assert len(drawn) == sum(len(part) for part in made.train)
    hasty = sum(id(feature) not in whole for feature in drawn)
    assert 0.1 < hasty / len(drawn) < 0.4
    assert made._plan(0) == made._plan(0)
