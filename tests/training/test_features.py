from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.text import clean
from training.corpus import AnyOf, Example, LabelNote
from training.encoder import load_tokenizer
from training.features import ABSENT, OPEN, PRESENT, Featurizer, plan, token_run

LABELS = ["room.clean", "room.noise", "food.breakfast"]
NOTHING = Example(id="x", text="Frühstück kalt, dreckig", language="de")


@pytest.fixture(scope="module")
def tokenizer(parts):
    return load_tokenizer(parts.encoder)


@pytest.fixture(scope="module")
def featurizer(parts, tokenizer):
    return Featurizer(tokenizer, parts.taxonomy, max_tokens=24)


@given(data=st.data())
def test_the_tokens_of_evidence_cover_its_characters_in_any_text(data, tokenizer):
    written = st.sampled_from(
        ["laut ", "Fru\u0308hstück ", "½", "👩‍👩‍👧", "&amp;", "<br>", "\ud800", "ﬁ"]
    )
    text = data.draw(st.lists(st.one_of(written, st.text(max_size=5)), min_size=1).map("".join))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    cleaned = clean(text)
    offsets = tokenizer.encode(cleaned.text).offsets
    characters = {
        i for i in range(len(cleaned.text)) if cleaned.starts[i] < end and cleaned.ends[i] > start
    }
    touching = [i for i, span in enumerate(offsets) if characters & set(range(*span))]
    run = token_run((start, end), cleaned, offsets) if start < end else None
    if characters and start < end:
        assert run == ((touching[0], touching[-1]) if touching else None)
        covered = set(chain(*(range(*span) for span in offsets)))
        inside = (
            set(chain(*(range(*span) for span in offsets[run[0] : run[1] + 1]))) if run else set()
        )
        assert characters & covered <= inside


def test_words_of_a_comment_are_found_again_in_its_tokens(tokenizer):
    text = "  Fru\u0308hstück&nbsp;lecker,\n\naber  laut 👍"
    cleaned = clean(text)
    encoding = tokenizer.encode(cleaned.text)
    for words in ("Fru\u0308hstück&nbsp;lecker", "laut", "aber  laut"):
        place = text.index(words)
        first, last = token_run((place, place + len(words)), cleaned, encoding.offsets)
        start, end = encoding.offsets[first][0], encoding.offsets[last][1]
        assert cleaned.text[start:end].strip() == clean(words).text


def test_what_is_known_of_a_comment_becomes_targets_and_the_rest_stays_open(featurizer):
    known = replace(
        NOTHING,
        labels={
            "food.breakfast": LabelNote(sentiment="negative", evidence=(0, 14)),
            "room.clean": LabelNote(weight=0.5),
        },
        absent=frozenset({"room.noise"}),
        signals=frozenset({"pest"}),
        sentiment="negative",
        weight=0.5,
    )
    feature, bare = featurizer.features([known, NOTHING])
    assert dict(zip(LABELS, feature.labels, strict=True)) == {
        "room.clean": PRESENT,
        "room.noise": ABSENT,
        "food.breakfast": 1,
    }
    assert feature.weights == [0.25, 0.5, 0.5]
    assert (feature.signals, feature.sentiment) == ([1], 0)
    ((row, first, last),) = feature.evidence
    assert LABELS[row] == "food.breakfast"
    assert 0 < first <= last < len(feature.ids) - 1
    assert (bare.labels, bare.signals, bare.sentiment) == ([OPEN] * 3, [OPEN], OPEN)
    assert bare.evidence == []


def test_a_label_whose_words_lie_beyond_the_cut_is_left_open(featurizer):
    text = "laut, " + "sehr viele Worte " * 20 + "dreckig"
    long = replace(
        NOTHING,
        text=text,
        labels={
            "room.noise": LabelNote(sentiment="negative", evidence=(0, 4)),
            "room.clean": LabelNote(sentiment="negative", evidence=(len(text) - 7, len(text))),
        },
    )
    (feature,) = featurizer.features([long])
    assert len(feature.ids) == 24
    assert feature.labels == [OPEN, 1, OPEN]
    assert [LABELS[row] for row, _, _ in feature.evidence] == ["room.noise"]


def test_evidence_without_a_token_leaves_the_label_as_it_is(featurizer):
    note = LabelNote(sentiment="positive", evidence=(4, 5))
    (feature,) = featurizer.features(
        [replace(NOTHING, text="laut\u200b", labels={"room.noise": note})]
    )
    assert (feature.labels[1], feature.evidence) == (3, [])


def test_a_batch_holds_the_comments_padded_and_their_targets_in_place(featurizer, tokenizer):
    union = AnyOf(labels=("room.clean", "room.noise"), sentiment="positive", weight=0.7)
    short = replace(NOTHING, text="laut", any_of=(union,), signals=frozenset())
    noted = replace(
        NOTHING, labels={"food.breakfast": LabelNote(sentiment="negative", evidence=(0, 14))}
    )
    features = featurizer.features([short, noted])
    batch = featurizer.batch(features).to(torch.device("cpu"))
    width = len(features[1].ids)
    assert batch.input_ids.shape == batch.attention_mask.shape == (2, width)
    assert batch.attention_mask.sum(1).tolist() == [len(feature.ids) for feature in features]
    assert batch.input_ids[0, -1] == tokenizer.token_to_id("<pad>")
    assert batch.signals.tolist() == [[0], [OPEN]]
    assert batch.any_at.tolist() == [[0, 3]]
    assert batch.any_labels.tolist() == [[1, 1, 0]]
    assert batch.any_weights.tolist() == pytest.approx([0.7])
    assert batch.evidence_at.tolist() == [[1, 2]]
    (_, first, last) = features[1].evidence[0]
    assert batch.evidence[0].nonzero()[:, 0].tolist() == list(range(first, last + 1))


def test_a_batch_without_evidence_and_unions_has_empty_tensors_for_them(featurizer):
    batch = featurizer.batch(featurizer.features([NOTHING]))
    assert batch.evidence_at.shape == batch.any_at.shape == (0, 2)
    assert batch.any_labels.shape == (0, 3)


@given(st.lists(st.integers(1, 300), max_size=200), st.integers(1, 9), st.integers(0, 5))
def test_a_plan_holds_each_comment_once_and_is_the_same_for_the_same_seed(lengths, comments, seed):
    batches = plan(lengths, comments=comments, rng=np.random.default_rng(seed))
    assert sorted(chain(*batches)) == list(range(len(lengths)))
    assert all(0 < len(batch) <= comments for batch in batches)
    assert plan(lengths, comments=comments, rng=np.random.default_rng(seed)) == batches


def test_batches_hold_comments_of_alike_length():
    lengths = np.random.default_rng(2).integers(5, 200, size=800).tolist()
    batches = plan(lengths, comments=20, rng=np.random.default_rng(0))
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)
