from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.artifact import COMMENT
from model.classifier import Classifier
from model.reading import CHUNK_CHARACTERS
from model.records import Comment, Prediction
from model.taxonomy import load_taxonomy
from model.text import words
from tests.answers import assert_same_answer, assert_slices
from tests.training.tiny import TAXONOMY, comments

EVERYTHING = {"shared_label_threshold": 0.0, "shared_signal_threshold": 0.0}
VIEW = """
[labels."room.view"]
en = "View"
de = "Aussicht"
means = { en = "what is seen from the window", de = "was man vom Fenster aus sieht" }
[signals.theft]
en = "Theft"
de = "Diebstahl"
means = { en = "something was stolen", de = "etwas wurde gestohlen" }
"""


def commented(text: str, *, language: str | None = None) -> Comment:
    return Comment(id="1", text=text, language=language)


def said(classifier: Classifier, text: str) -> Prediction:
    (prediction,) = classifier.classify([commented(text)])
    return prediction


@pytest.fixture
def talkative(calibrated) -> Classifier:
    """Return a classifier that finds every label and signal in every comment."""
    return Classifier.load(calibrated(**EVERYTHING), threads=1)


def test_alone_in_a_long_list_and_in_any_order_a_comment_gets_the_same_answer(talkative):
    texts = [comment["text"] for comment in comments(200)]
    texts += ["", "!!!", "😀", "Lärm " * 90, "x" * 12_000, "ruhig, laut. " * 30]
    listed = [commented(text) for text in texts] * 5
    shuffled = list(range(len(listed)))
    random.Random(7).shuffle(shuffled)
    together = talkative.classify(listed)
    mixed = dict(zip(shuffled, talkative.classify([listed[i] for i in shuffled]), strict=True))
    for i, (comment, prediction) in enumerate(zip(listed, together, strict=True)):
        assert_same_answer(prediction, mixed[i])
        if i < len(texts):
            assert_same_answer(prediction, said(talkative, comment.text))


def test_several_threads_may_classify_at_once(classifier):
    listed = [commented(comment["text"]) for comment in comments(40)]
    alone = classifier.classify(listed)
    with ThreadPoolExecutor(4) as pool:
        for several in pool.map(classifier.classify, [listed] * 12):
            assert several == alone


def test_a_list_longer_than_what_is_read_at_a_time_comes_back_whole(classifier):
    listed = [commented("laut " * 1000), commented("")] * (CHUNK_CHARACTERS // 5000 + 3)
    predictions = classifier.classify(listed)
    assert len(predictions) == len(listed)
    assert predictions[0].language == "de"
    assert predictions[::2] == predictions[:1] * (len(listed) // 2)
    assert classifier.classify([]) == []


@pytest.mark.parametrize(
    "text",
    ["", " \n\t\u00a0", "\ud800", "\x00\x07\x1b", "\u200b\ufeff", "&nbsp;<br>", " " * 20_000],
)
def test_where_there_is_nothing_to_read_the_answer_is_neutral_and_empty(talkative, text):
    assert said(talkative, text) == Prediction(
        language="und", sentiment="neutral", confidence=1.0, truncated=len(text) > 10_000
    )


@pytest.mark.parametrize("text", ["😀", "👨‍👩‍👧 👍🏽", "!!!", "...?", "10/10"])
def test_emoji_and_punctuation_are_answered_in_no_language(talkative, text):
    prediction = said(talkative, text)
    assert prediction.language == "und"
    assert len(prediction.labels) == 3
    assert_slices(prediction, text)


def test_a_comment_without_a_word_has_labels_without_evidence(talkative):
    assert all(label.evidence == () for label in said(talkative, "!!! ???").labels)


@pytest.mark.parametrize(
    ("text", "language"), [("sehr laut hier", "de"), ("very noisy here", "en")]
)
def test_the_client_knows_the_language_better_than_any_guess(classifier, text, language):
    assert said(classifier, text).language == language
    for tag in ("nl", "de-AT"):
        (prediction,) = classifier.classify([commented(text, language=tag)])
        assert prediction.language == tag
        (prediction,) = classifier.classify([commented("", language=tag)])
        assert prediction.language == tag


def test_labels_and_signals_come_in_falling_order_of_confidence(talkative):
    for comment in comments(30):
        prediction = said(talkative, comment["text"])
        order = [label.confidence for label in prediction.labels]
        assert order == sorted(order, reverse=True)
        assert {label.label for label in prediction.labels} == {
            "room.clean",
            "room.noise",
            "food.breakfast",
        }
        assert all(label.area == label.label.partition(".")[0] for label in prediction.labels)
        assert not any(label.untrained for label in prediction.labels)


def test_a_label_counts_from_its_own_threshold_on(calibrated, talkative):
    text = "Frühstück kalt, very noisy"
    confidence = {label.label: label.confidence for label in said(talkative, text).labels}
    for shift, found in ((-0.001, True), (0.001, False)):
        thresholds = {"room.noise": confidence["room.noise"] + shift}
        folder = calibrated(**EVERYTHING, thresholds=thresholds)
        labels = {label.label for label in said(Classifier.load(folder, threads=1), text).labels}
        assert ("room.noise" in labels) == found
        assert {"room.clean", "food.breakfast"} <= labels


@settings(deadline=None, max_examples=150)
@given(text=st.text(st.characters(), max_size=120))
def test_evidence_slices_to_its_text_for_any_unicode(everything, text):
    assert_slices(said(everything, text), text)


@settings(deadline=None, max_examples=50)
@given(
    parts=st.lists(
        st.sampled_from(
            [
                "laut",
                "&amp;",
                "<br>",
                "👩‍🚀",
                "e\u0301",
                "ﬃ",
                "שלום",
                "\ud83d",
                "\r\n",
                "…",
                " ",
                "very noisy",
            ]
        ),
        max_size=60,
    ),
    limit=st.integers(2, 40),
)
def test_evidence_slices_to_its_text_in_over_long_comments_too(tiny_everything, parts, limit):
    text = "".join(parts)
    short = Classifier.load(tiny_everything, threads=1, max_characters=limit)
    prediction = said(short, text)
    assert prediction.truncated == (len(text) > limit)
    assert_slices(prediction, text)


@pytest.fixture(scope="module")
def tiny_everything(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import shutil

    from model.artifact import read_manifest, write_artifact

    folder = Path(shutil.copytree(tiny, tmp_path_factory.mktemp("everything") / "model"))
    manifest = read_manifest(folder)
    manifest["calibration"] |= EVERYTHING
    write_artifact(folder, manifest)
    return folder


@pytest.fixture(scope="module")
def everything(tiny_everything: Path) -> Classifier:
    return Classifier.load(tiny_everything, threads=1)


def test_of_an_over_long_comment_head_and_tail_are_read_and_the_middle_is_not(tiny_everything):
    short = Classifier.load(tiny_everything, threads=1, max_characters=80)
    head, tail = "Das Zimmer war blitzsauber und", "and the breakfast was cold."
    filler = "mittendrin steht sehr viel Text "
    one = said(short, f"{head} {filler * 9}{tail}")
    other = said(short, f"{head} {filler * 2}{filler.upper() * 5}{filler * 2}{tail}")
    assert one.truncated
    assert_same_answer(one, other)
    assert not said(short, head).truncated


def test_a_word_at_the_border_of_head_or_tail_is_not_cut(tiny_everything):
    short = Classifier.load(tiny_everything, threads=1, max_characters=50)
    for length in range(40, 60):
        text = "Frühstückskaffeetasse " * 2 + "x" * length + " Badezimmerreinigungskraft war laut"
        whole = words(text)
        for label in said(short, text).labels:
            for evidence in label.evidence:
                assert evidence.start in [start for start, _ in whole]
                assert evidence.end in [end for _, end in whole]


def test_of_a_comment_over_the_token_limit_each_label_has_its_strongest_window(classifier):
    engine = classifier._engine
    text = "Das Frühstück war kalt. " * 20 + "Kakerlaken im Bad! " + "very clean, " * 40 + "!"
    (windows,) = engine.windows([text])
    assert len(windows) > 3
    (found,) = classifier.logits([commented(text)])
    stacked = np.stack([window.logits for window in windows])
    strength = np.logaddexp.reduce(stacked[..., 1:], axis=-1) - stacked[..., 0]
    for row, name in enumerate(engine.rows.ids):
        if name == COMMENT:
            assert found[row] == pytest.approx(stacked[:, row].mean(0), abs=1e-4)
        elif not name.startswith("signal:"):
            said_here = np.logaddexp.reduce(found[row, 1:]) - found[row, 0]
            assert said_here == pytest.approx(strength[:, row].max(), abs=0.01)


def test_logits_of_no_comment_have_no_row(classifier):
    assert classifier.logits([]).shape == (0, 5, 4)
    assert classifier.logits([commented(""), commented("laut")]).shape == (2, 5, 4)


def test_a_label_that_was_never_trained_is_scored_marked_and_changes_no_other(
    tiny_everything, everything, tmp_path
):
    (tmp_path / "more.toml").write_text(TAXONOMY + VIEW, "utf-8")
    taxonomy = load_taxonomy(tmp_path / "more.toml")
    more = Classifier.load(tiny_everything, taxonomy=taxonomy, threads=1)
    for comment in comments(20):
        before, after = said(everything, comment["text"]), said(more, comment["text"])
        new = {label.label: label for label in after.labels if label.untrained}
        assert set(new) == {"room.view"}
        assert new["room.view"].area == "room"
        assert {signal.signal for signal in after.signals} == {"pest", "theft"}
        old = {label.label: label.confidence for label in before.labels}
        for label in after.labels:
            if not label.untrained:
                assert label.confidence == pytest.approx(old[label.label], abs=0.001)


def test_a_retired_label_is_not_found_any_more(tiny_everything, tmp_path):
    text = TAXONOMY.replace('[labels."food', 'retired = true\n[labels."food')
    (tmp_path / "fewer.toml").write_text(text, "utf-8")
    fewer = Classifier.load(
        tiny_everything, taxonomy=load_taxonomy(tmp_path / "fewer.toml"), threads=1
    )
    labels = {label.label for label in said(fewer, "very noisy").labels}
    assert labels == {"room.clean", "food.breakfast"}
