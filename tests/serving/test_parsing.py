from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.records import Comment, Failure
from serving.parsing import MAX_COMMENT_CHARACTERS, comment_id, parse_comment

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
fields = st.sampled_from(["id", "comment", "score", "language", "touchpoint", "properties", "x"])


def read(**record: object) -> Comment:
    comment = parse_comment(record, position=7)
    assert isinstance(comment, Comment), comment
    return comment


def refusal(**record: object) -> str:
    failure = parse_comment(record, position=7)
    assert isinstance(failure, Failure), failure
    assert failure.code == "invalid_comment"
    return failure.message


def test_a_survey_export_is_read_as_it_is():
    comment = read(
        id="a1",
        comment="Zu spät geliefert.",
        score=9.0,
        score_type="promoter",
        sentiment="positive",
        sentiment_per_label_name={},
        labels=["Versand"],
        inserted_at="2026-01-01T00:00:00Z",
        properties={"country": "AT"},
        language="de-AT",
    )
    assert comment == Comment(
        id="a1", text="Zu spät geliefert.", score=9, language="de", properties={"country": "AT"}
    )


@pytest.mark.parametrize(
    ("tag", "language"),
    [("de", "de"), ("DE_at", "de"), ("eng", "en"), ("ger", "de"), ("zh-Hant-TW", "zh")]
    + [(tag, None) for tag in ("", " ", "und", "other", None)],
)
def test_a_language_tag_is_cut_to_its_language(tag, language):
    assert read(comment="Gut", language=tag).language == language


@pytest.mark.parametrize("tag", ["Deutsch", "d", 7, "de-", "de AT"])
def test_what_is_no_language_tag_is_refused_with_an_example(tag):
    assert "language must be" in refusal(comment="Gut", language=tag)


@pytest.mark.parametrize("score", [-1, 11, 4.5, "9", True, [9], float("inf"), float("nan"), 10**30])
def test_a_score_that_is_none_is_refused(score):
    assert "score must be a whole number from 0 to 10" in refusal(comment="Gut", score=score)


@pytest.mark.parametrize("score", [0, 10, 7.0, None])
def test_a_score_from_0_to_10_or_none_at_all_is_fine(score):
    assert read(comment="Gut", score=score).score == score


@pytest.mark.parametrize("text", [7, True, ["Gut"], {"de": "Gut"}])
def test_a_comment_that_is_no_string_is_refused(text):
    assert "comment must be a string or null" in refusal(comment=text)


@pytest.mark.parametrize("record", [{}, {"comment": None}, {"comment": ""}])
def test_a_missing_comment_is_an_empty_one(record):
    assert read(**record).text == ""


def test_what_nobody_can_have_written_is_no_comment():
    assert "is no comment" in refusal(comment="x" * (MAX_COMMENT_CHARACTERS + 1))
    assert read(comment="x" * MAX_COMMENT_CHARACTERS)


@pytest.mark.parametrize(("given_id", "id_"), [("a", "a"), (12, "12"), (None, "7"), ("", "7")])
def test_an_id_may_be_a_string_or_a_number_and_is_the_position_where_it_is_missing(given_id, id_):
    assert read(id=given_id).id == id_


@pytest.mark.parametrize("wrong", [True, 1.5, ["a"], {}, "x" * 201, 10**201])
def test_an_unusable_id_is_refused_and_answered_under_the_position(wrong):
    assert refusal(id=wrong).startswith("id ")
    assert comment_id({"id": wrong}, position=7) == "7"


def test_properties_may_come_as_a_list_of_names_and_values():
    assert read(properties=[{"name": "city", "value": "Wien"}]).properties == {"city": "Wien"}
    assert "properties must be an object" in refusal(properties="Wien")


@given(st.dictionaries(fields, json_values) | json_values)
@settings(deadline=None)
def test_any_value_is_a_comment_or_a_refusal_that_repeats_nothing_of_it(value):
    outcome = parse_comment(value, position=3)
    assert isinstance(outcome, (Comment, Failure))
    assert comment_id(value, position=3)


def test_a_refusal_repeats_nothing_of_what_was_sent():
    assert "geheim" not in refusal(comment="geheim", score="geheim")
    assert "geheim" not in refusal(comment="geheim", language="geheim geheim")
