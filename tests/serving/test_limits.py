from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from serving.app import create_app
from serving.keys import new_key
from serving.limits import RateLimit
from serving.problems import Problem
from serving.settings import Settings
from tests.fakes import FailingClassifier, WordClassifier, word_service


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(limit: RateLimit, caller: str | None, comments: int) -> int | None:
    """Return the seconds after which to come back, or None if it was let through."""
    try:
        with limit.spent(caller, comments):
            pass
    except Problem as problem:
        return int(problem.headers["Retry-After"])
    return None


def test_a_minutes_comments_may_come_at_once_and_then_at_the_rate():
    clock = Clock()
    limit = RateLimit(60, clock=clock)
    assert refused(limit, "shop", 60) is None
    assert refused(limit, "shop", 1) == 1
    assert refused(limit, "shop", 7) == 7
    clock.now += 7
    assert refused(limit, "shop", 7) is None
    assert refused(limit, "shop", 1) == 1


def test_a_list_over_the_limit_needs_a_full_bucket_and_owes_the_rest():
    clock = Clock()
    limit = RateLimit(60, clock=clock)
    assert refused(limit, "shop", 600) is None
    assert refused(limit, "shop", 1) == 541
    clock.now += 541
    assert refused(limit, "shop", 1) is None


def test_one_caller_does_not_use_up_the_comments_of_another():
    limit = RateLimit(10, clock=Clock())
    assert refused(limit, "shop", 10) is None
    assert refused(limit, "hotel", 10) is None
    assert refused(limit, None, 10) is None
    assert refused(limit, "shop", 1) == 6


def test_waiting_for_as_long_as_it_says_is_enough():
    clock = Clock()
    limit = RateLimit(7, clock=clock)
    for comments in (7, 3, 5, 20, 1):
        seconds = refused(limit, "shop", comments)
        if seconds is not None:
            clock.now += seconds
            assert refused(limit, "shop", comments) is None


def post(client: TestClient, key: str, count: int):
    return client.post(
        "/v1/classify",
        json={"comments": [{"comment": "kaputt"}] * count},
        headers={"Authorization": f"Bearer {key}"},
    )


def test_a_key_over_its_limit_is_429_in_the_one_shape_and_counted_by_its_name():
    (shop, kept_shop), (hotel, kept_hotel) = new_key("shop"), new_key("hotel")
    settings = Settings(api_keys=(kept_shop, kept_hotel), rate_limit=10)
    with TestClient(create_app(word_service(), settings)) as client:
        assert post(client, shop, 10).is_success
        response = post(client, shop, 3)
        assert post(client, hotel, 3).is_success
        page = client.get("/metrics", headers={"Authorization": f"Bearer {hotel}"}).text
    assert response.status_code == 429
    # Ten a minute: three take 18 seconds, less what this test has taken.
    assert 1 <= int(response.headers["Retry-After"]) <= 18
    error = response.json()["error"]
    assert (error["code"], error["details"]) == ("rate_limited", {"rate_limit": 10})
    for line in (
        'echolot_key_comments_total{key="shop",outcome="answered"} 10.0',
        'echolot_key_comments_total{key="shop",outcome="limited"} 3.0',
        'echolot_key_comments_total{key="hotel",outcome="answered"} 3.0',
    ):
        assert line in page


def test_a_limit_holds_without_keys_too():
    with TestClient(create_app(word_service(), Settings(rate_limit=10))) as client:
        assert post(client, "none", 10).is_success
        assert post(client, "none", 1).status_code == 429


def test_what_the_service_could_not_answer_does_not_count():
    with TestClient(
        create_app(word_service(FailingClassifier()), Settings(rate_limit=10))
    ) as client:
        assert post(client, "none", 10).status_code == 500
        assert post(client, "none", 10).status_code == 500


@pytest.mark.parametrize("limit", [0, 10])
def test_the_description_names_429_only_where_a_limit_is_set(limit):
    app = create_app(word_service(WordClassifier()), Settings(rate_limit=limit))
    responses = app.openapi()["paths"]["/v1/classify"]["post"]["responses"]
    assert ("429" in responses) == bool(limit)
