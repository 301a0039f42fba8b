from __future__ import annotations

import pytest
import schemathesis
from hypothesis import settings as hypothesis_settings
from schemathesis.config import SchemathesisConfig

from serving.app import create_app
from serving.keys import new_key
from serving.settings import Settings
from tests.fakes import word_service

KEY, KEPT = new_key("tester")
# A body over the limit is refused with 413, which counts as refused for us.
REFUSED = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
CONFIG = SchemathesisConfig.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}}
)
# Few comments, so that lists on both sides of the limit are tried.
OPEN = schemathesis.openapi.from_asgi(
    "/openapi.json", create_app(word_service(), Settings(max_comments=5)), config=CONFIG
)
LOCKED = schemathesis.openapi.from_asgi(
    "/openapi.json", create_app(word_service(), Settings(api_keys=(KEPT,))), config=CONFIG
)


@OPEN.parametrize()
@hypothesis_settings(max_examples=40, deadline=None)
def test_the_service_keeps_what_its_description_promises(case):
    # Outside its life cycle the service is not ready, which its description covers.
    case.call_and_validate()


@LOCKED.parametrize()
@hypothesis_settings(max_examples=10, deadline=None)
def test_the_locked_service_keeps_what_its_description_promises(case):
    case.call_and_validate(headers={"Authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize("keys", [(), (KEPT,)])
def test_the_description_asks_for_a_key_only_where_one_is_set(keys):
    description = create_app(word_service(), Settings(api_keys=keys)).openapi()
    for path in ("/v1/taxonomy", "/metrics"):
        assert ("security" in description["paths"][path]["get"]) == bool(keys)
    assert "security" not in description["paths"]["/healthz"]["get"]


def test_the_description_has_an_example_and_the_limit_of_a_list():
    description = create_app(word_service(), Settings(max_comments=7)).openapi()
    content = description["paths"]["/v1/classify"]["post"]["requestBody"]["content"]
    assert content["application/json"]["schema"]["allOf"][1] == {
        "properties": {"comments": {"maxItems": 7}}
    }
    assert description["components"]["schemas"]["ClassifyIn"]["examples"]
