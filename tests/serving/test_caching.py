from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from model.records import Comment, Prediction
from serving.app import create_app
from serving.caching import PredictionCache
from serving.service import Service, load_service
from serving.settings import Settings
from tests.answers import assert_same_answer
from tests.fakes import FirstLabelRouter, WordClassifier

ROOT = Path(__file__).parent.parent.parent


class Reader(WordClassifier):
    """Notes which texts it read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        self.read += [comment.text for comment in comments]
        return super().classify(comments)


def cached(classifier: WordClassifier, *, entries: int = 100, characters: int = 20) -> Service:
    cache = PredictionCache(entries=entries, characters=characters)
    return Service(classifier, FirstLabelRouter(), cache=cache)


def asked(service: Service, *texts: str) -> None:
    service.answer([{"comment": text} for text in texts])


def test_a_short_comment_is_read_once_and_a_long_one_each_time():
    classifier = Reader()
    service = cached(classifier)
    long = "Die Hose war leider kaputt"
    for texts in (("Top", long), ("Top", "Top", long), ("alles super", "Top", "alles super")):
        asked(service, *texts)
    assert classifier.read == ["Top", long, long, "alles super"]
    assert service.cache.take_counts() == (3, 3)
    assert service.cache.take_counts() == (0, 0)


def test_route_and_review_follow_the_score_of_each_comment():
    service = cached(Reader())
    fields = {"comment": "It is broken", "language": "en"}
    bad, good = (service.answer([{**fields, "score": score}])[0] for score in (0, 10))
    assert (bad.route.priority, bad.needs_review) == ("high", False)
    assert (good.route.priority, good.needs_review) == ("low", True)
    assert len(service.cache) == 1


def test_the_language_of_the_client_is_part_of_what_is_kept():
    service = cached(Reader())
    languages = [
        service.answer([{"comment": "super", **said}])[0].prediction.language
        for said in ({"language": "de"}, {"language": "en"}, {}, {"language": "de"})
    ]
    assert languages == ["de", "en", "en", "de"]
    assert len(service.cache) == 3


def test_what_was_not_asked_for_longest_goes_first():
    classifier = Reader()
    service = cached(classifier, entries=2)
    for text in ("eins", "zwei", "eins", "drei", "eins", "zwei"):
        asked(service, text)
    assert classifier.read == ["eins", "zwei", "drei", "zwei"]
    assert len(service.cache) == 2


def test_a_list_with_more_short_comments_than_are_kept_is_answered():
    service = cached(WordClassifier(), entries=3)
    results = service.answer([{"comment": f"kaputt {n}"} for n in range(50)])
    assert all(result.prediction.labels for result in results)
    assert len(service.cache) == 3


WORDS = st.sampled_from(["Top", "sehr schnell", "kaputt", "Ich kündige", "broken", "", " ", "👍"])


@given(
    st.lists(
        st.lists(
            st.fixed_dictionaries(
                {"comment": WORDS | st.text(max_size=30)},
                optional={"score": st.integers(0, 10), "language": st.sampled_from(["de", "fr"])},
            ),
            max_size=8,
        ),
        max_size=8,
    )
)
def test_answers_are_the_same_with_and_without_a_cache(requests):
    plain, kept = Service(WordClassifier(), FirstLabelRouter()), cached(Reader(), entries=5)
    for records in requests:
        assert kept.answer(records) == plain.answer(records)


def test_threads_may_share_it():
    service = cached(WordClassifier(), entries=7)
    expected = Service(WordClassifier(), FirstLabelRouter())
    wrong: list[str] = []

    def ask(seed: int) -> None:
        for n in range(300):
            records = [{"comment": f"kaputt {(seed * n + k) % 13}"} for k in range(4)]
            if service.answer(records) != expected.answer(records):
                wrong.append(str(records))

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in (1, 3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert wrong == []
    assert len(service.cache) == 7


def test_metrics_say_how_often_it_helped():
    with TestClient(create_app(cached(WordClassifier()), Settings())) as client:
        for _ in range(3):
            client.post("/v1/classify", json={"comments": [{"comment": "geheim"}]})
        page = client.get("/metrics").text
    assert 'echolot_cache_comments_total{outcome="hit"} 2.0' in page
    assert "geheim" not in page


@pytest.mark.slow
def test_the_shipped_model_answers_alike_with_and_without_a_cache():
    lines = [
        json.loads(line)
        for language in ("de", "en")
        for line in (ROOT / f"data/comments/{language}.jsonl").read_text("utf-8").splitlines()
    ]
    texts = sorted((line["text"] for line in lines), key=len)[:60]
    plain = load_service(Settings(threads=1, cache_entries=0))
    kept = load_service(Settings(threads=1))
    assert plain.cache is None
    records = [{"comment": text, "score": n % 11} for n, text in enumerate(texts)]
    for start in (0, 20, 0):
        part = records[start : start + 30]
        for record, answer in zip(part, kept.answer(part), strict=True):
            (alone,) = plain.answer([record])
            assert_same_answer(answer.prediction, alone.prediction)
            assert (answer.route, answer.review_reasons) == (alone.route, alone.review_reasons)
    assert kept.cache.take_counts().hits >= 30
