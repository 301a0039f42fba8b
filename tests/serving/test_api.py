from __future__ import annotations

import json
import logging
import re

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from serving.app import create_app
from serving.keys import new_key
from serving.logs import JsonFormatter
from serving.schemas import EXAMPLE_TEXT, ClassifyOut, TaxonomyOut
from serving.settings import Settings
from tests.fakes import FailingClassifier, word_service

JSON = {"Content-Type": "application/json"}


def classify(client: TestClient, *comments: object, **headers: str):
    return client.post("/v1/classify", json={"comments": comments}, headers=headers)


def error_of(response) -> dict[str, object]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert response.headers["content-type"] == "application/json"
    return body["error"]


def test_a_german_comment_comes_back_in_the_form_of_the_design(client):
    response = classify(client, {"id": "a1", "comment": EXAMPLE_TEXT, "score": 4})
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"model", "taxonomy", "results"}
    (result,) = body["results"]
    assert result == {
        "id": "a1",
        "language": "de",
        "score_type": "detractor",
        "sentiment": "negative",
        "confidence": 0.95,
        "labels": [
            {
                "label": "delivery.speed",
                "name": {"en": "Delivery speed", "de": "Lieferzeit"},
                "area": "delivery",
                "sentiment": "positive",
                "confidence": 0.9,
                "sentiment_confidence": 0.8,
                "evidence": [{"start": 16, "end": 23, "text": "schnell"}],
            },
            {
                "label": "product.quality",
                "name": {"en": "Product quality", "de": "Produktqualität"},
                "area": "product",
                "sentiment": "negative",
                "confidence": 0.9,
                "sentiment_confidence": 0.8,
                "evidence": [{"start": 43, "end": 49, "text": "kaputt"}],
            },
        ],
        "signals": [],
        "route": {
            "team": "delivery",
            "priority": "high",
            "due_hours": 24,
            "actions": [],
            "rule": "first-label",
            "also": [],
        },
        "needs_review": False,
        "review_reasons": [],
    }
    ClassifyOut.model_validate(body)


def test_a_signal_and_a_truncated_text_are_told(client):
    long = "Ich kündige! " + "x" * 10_000
    (result,) = classify(client, {"comment": long}).json()["results"]
    assert result["truncated"] is True
    assert result["signals"][0]["name"] == {"en": "Leaving", "de": "Abwanderung"}
    assert result["signals"][0]["evidence"] == [{"start": 4, "end": 11, "text": "kündige"}]


def test_a_bad_comment_is_answered_beside_its_neighbours(client):
    response = classify(client, {"comment": "fast"}, {"id": 9, "comment": 1}, "x")
    assert response.status_code == 200
    good, bad, worse = response.json()["results"]
    assert good["labels"]
    assert bad == {
        "id": "9",
        "error": {
            "code": "invalid_comment",
            "message": "comment must be a string or null, not a number",
        },
    }
    assert worse["id"] == "2"
    ClassifyOut.model_validate(response.json())


def test_a_list_of_a_thousand_keeps_its_order(client):
    comments = [{"id": n, "comment": "kaputt" if n % 3 else None} for n in range(1000)]
    results = classify(client, *comments).json()["results"]
    assert [r["id"] for r in results] == [str(n) for n in range(1000)]
    assert [bool(r["labels"]) for r in results] == [bool(n % 3) for n in range(1000)]
    # Positions count over the whole list, however it was cut.
    results = classify(client, *({} for _ in range(200))).json()["results"]
    assert [r["id"] for r in results] == [str(n) for n in range(200)]


def test_an_empty_list_is_answered_with_an_empty_list(client):
    assert classify(client).json()["results"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b'{"comments": [{"score": NaN}]}', "invalid_json"),
        (b'{"comments": [], "comments": []}', "invalid_json"),
        (b'{"comments": ' + b"[" * 50_000, "invalid_json"),
        (b'{"comments": [' + b"1" * 5000 + b"]}", "invalid_json"),
        (b"[]", "invalid_request"),
        (b"null", "invalid_request"),
        (b"{}", "invalid_request"),
        (b'{"comments": {"comment": "Gut"}}', "invalid_request"),
        (b'{"comments": "Gut"}', "invalid_request"),
        (b'{"comments": [' + b"1," * 1000 + b"1]}", "too_many_comments"),
    ],
)
def test_a_broken_envelope_is_422_in_the_one_shape(client, body, code):
    response = client.post("/v1/classify", content=body, headers=JSON)
    assert response.status_code == 422
    assert error_of(response)["code"] == code


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("POST", "/v1/classify/", {}, 404, "not_found"),
        ("GET", "/v1/classify", {}, 405, "method_not_allowed"),
        ("DELETE", "/healthz", {}, 405, "method_not_allowed"),
        ("POST", "/v1/classify", {}, 415, "unsupported_media_type"),
        ("POST", "/v1/classify", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (
            "POST",
            "/v1/classify",
            {"Content-Type": "application/json; charset=latin-1"},
            415,
            "unsupported_media_type",
        ),
        (
            "POST",
            "/v1/classify",
            {**JSON, "Content-Encoding": "gzip"},
            415,
            "unsupported_media_type",
        ),
    ],
)
def test_every_refusal_has_the_one_shape(client, method, path, headers, status, code):
    response = client.request(method, path, headers=headers)
    assert response.status_code == status
    assert error_of(response)["code"] == code


def test_a_body_over_the_limit_is_413_even_without_a_declared_length():
    settings = Settings(max_body_bytes=2048)
    with TestClient(create_app(word_service(), settings)) as client:
        body = json.dumps({"comments": [{"comment": "x" * 4000}]}).encode()
        declared = client.post("/v1/classify", content=body, headers=JSON)
        chunks = (b" " * 512 for _ in range(100))
        streamed = client.post("/v1/classify", content=chunks, headers=JSON)
        fits = client.post("/v1/classify", content=b'{"comments": []}', headers=JSON)
    assert error_of(declared)["details"] == {"max_body_bytes": 2048}
    assert streamed.status_code == 413
    assert fits.status_code == 200


@pytest.mark.parametrize(
    "escape", [r"\ud800", r"\udc00 kaputt", r"\ud83d\ude00 kaputt", r"a\u0000", r"\u202ekaputt"]
)
def test_half_a_surrogate_pair_breaks_neither_request_nor_answer(client, escape):
    body = f'{{"comments": [{{"id": "{escape}", "comment": "{escape}"}}]}}'
    response = client.post("/v1/classify", content=body.encode("ascii"), headers=JSON)
    assert response.status_code == 200
    (result,) = json.loads(response.content.decode("utf-8"))["results"]
    text = json.loads(f'"{escape}"')
    assert result["id"] == text
    for label in result["labels"]:
        for run in label["evidence"]:
            assert text[run["start"] : run["end"]] == run["text"]


@given(
    st.one_of(
        st.binary(),
        st.text().map(str.encode),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda children: (
                st.lists(children)
                | st.dictionaries(
                    st.sampled_from(["comments", "comment", "id", "score", "language", "x"]),
                    children,
                )
            ),
        ).map(lambda value: json.dumps(value).encode()),
        st.lists(
            st.fixed_dictionaries(
                {"comment": st.text(st.characters(exclude_categories=()))},
                optional={"score": st.integers(-1, 11), "language": st.text(max_size=5)},
            )
        ).map(lambda comments: json.dumps({"comments": comments}).encode()),
    )
)
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_body_is_answered_with_2xx_or_4xx(client, body):
    response = client.post("/v1/classify", content=body, headers=JSON)
    assert 200 <= response.status_code < 300 or 400 <= response.status_code < 500
    response.content.decode("utf-8")
    if response.status_code == 200:
        sent = json.loads(body)["comments"]
        assert len(response.json()["results"]) == len(sent)
    else:
        error_of(response)


def test_a_sane_request_id_comes_back_and_another_is_replaced(client):
    assert client.get("/healthz", headers={"X-Request-ID": "a-1.b:2"}).headers["X-Request-ID"] == (
        "a-1.b:2"
    )
    for strange in ("", "a b", "x" * 129, "a;b"):
        given_back = client.get("/nowhere", headers={"X-Request-ID": strange})
        assert re.fullmatch("[0-9a-f]{32}", given_back.headers["X-Request-ID"])


def test_with_keys_set_all_but_health_needs_one():
    key, kept = new_key("shop")
    second, kept_second = new_key("shop-next")
    app = create_app(word_service(), Settings(api_keys=(kept, kept_second)))
    with TestClient(app) as client:
        for path in ("/v1/taxonomy", "/metrics"):
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": f"Basic {key}"},
                {"Authorization": f"Bearer {kept.digest}"},
            ):
                refused = client.get(path, headers=headers)
                assert refused.status_code == 401
                assert error_of(refused)["code"] == "unauthorized"
                assert refused.headers["WWW-Authenticate"] == "Bearer"
            for good in (key, second):
                assert client.get(path, headers={"Authorization": f"Bearer {good}"}).is_success
        assert classify(client, {"comment": "Gut"}).status_code == 401
        assert classify(client, {"comment": "Gut"}, Authorization=f"Bearer {key}").is_success
        assert client.get("/healthz").is_success
        assert client.get("/readyz").is_success


def test_readiness_follows_the_life_of_the_service():
    app = create_app(word_service(), Settings())
    client = TestClient(app)
    assert error_of(client.get("/readyz"))["code"] == "not_ready"
    assert client.get("/healthz").json() == {"status": "ok"}
    with client:
        assert client.get("/readyz").json() == {"status": "ok"}
    assert client.get("/readyz").status_code == 503


def test_the_taxonomy_is_shown_with_the_fingerprint_of_the_answers(client):
    body = client.get("/v1/taxonomy").json()
    TaxonomyOut.model_validate(body)
    assert body["taxonomy"] == classify(client).json()["taxonomy"]
    assert {"label", "area", "name", "means"} == set(body["labels"][0])


def test_metrics_count_and_hold_no_word_of_a_comment(client):
    classify(client, {"comment": "sehr schnell geheim", "score": 2}, {"comment": 7})
    classify(client, {"comment": "fast geheim", "language": "xx"})
    client.get("/geheim")
    page = client.get("/metrics").text
    for line in (
        'echolot_requests_total{method="POST",route="/v1/classify",status="200"} 2.0',
        'echolot_requests_total{method="GET",route="other",status="404"} 1.0',
        'echolot_comments_total{language="de",outcome="answered"} 1.0',
        'echolot_comments_total{language="other",outcome="answered"} 1.0',
        'echolot_comments_total{language="und",outcome="error"} 1.0',
        'echolot_labels_total{label="delivery.speed",sentiment="positive"} 2.0',
        'echolot_routes_total{priority="high",team="delivery"} 1.0',
        'echolot_reviews_total{reason="score_against_words"} 1.0',
        "echolot_queue_comments 0.0",
    ):
        assert line in page
    assert "geheim" not in page


def test_the_log_has_one_line_a_request_and_no_word_of_a_comment(client, caplog):
    caplog.set_level(logging.DEBUG)
    classify(client, {"comment": "sehr schnell geheim"}, {"comment": 7}, **{"X-Request-ID": "r1"})
    client.get("/geheim?text=geheim")
    lines = [JsonFormatter().format(r) for r in caplog.records if not r.name.startswith("httpx")]
    assert not any("geheim" in line for line in lines)
    line = next(json.loads(line) for line in lines if '"r1"' in line)
    assert line["message"] == "request"
    assert line["status"] == 200
    assert line["route"] == "/v1/classify"
    assert line["languages"] == {"de": 1}
    assert (line["comments"], line["errors"], line["model"]) == (2, 1, "words-1")


def test_a_fault_inside_is_one_shape_and_leaks_neither_text_nor_traceback(caplog):
    with TestClient(create_app(word_service(FailingClassifier()), Settings())) as client:
        response = classify(client, {"comment": "geheim"})
    assert response.status_code == 500
    assert error_of(response)["code"] == "internal"
    assert "X-Request-ID" in response.headers
    lines = [JsonFormatter().format(record) for record in caplog.records]
    assert "geheim" not in response.text + "".join(lines)
    assert any('"RuntimeError"' in line and "fakes.py" in line for line in lines)


def test_the_page_that_shows_the_api_asks_no_other_server_for_anything(client):
    page = client.get("/docs")
    assert page.status_code == 200
    asked = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assert len(asked) >= 3
    for path in asked:
        assert path.startswith("/")
        assert client.get(path).status_code == 200
    assert '"validatorUrl": null' in page.text
    assert "://" not in re.sub(r"<a [^>]*>", "", page.text)


def test_a_file_that_is_not_there_is_answered_in_the_one_shape(client):
    response = client.get("/docs-files/../../secrets.js")
    assert response.status_code == 404
    assert error_of(response)["code"] == "not_found"
    assert error_of(client.post("/docs-files/favicon.png"))["code"] == "method_not_allowed"
