"""The keyword scorer: what it finds, where it finds it, and which files it refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import KeywordsError, MissingExtra
from model.keyword_rules import SHIPPED
from model.keywords import KeywordScorer
from model.records import Comment, Prediction
from model.taxonomy import Taxonomy, load_taxonomy

pytest.importorskip("spacy", reason="the extra 'keywords' is not installed")
pytest.importorskip("simplemma", reason="the extra 'keywords' is not installed")

BAKERY = """
version = 1
[areas]
bread = { en = "Bread", de = "Brot" }
[labels."bread.crust"]
en = "Crust"
de = "Kruste"
means = { en = "how the crust is", de = "wie die Kruste ist" }
[labels."bread.price"]
en = "Price"
de = "Preis"
means = { en = "what it costs", de = "was es kostet" }
[signals.allergy]
en = "Allergy"
de = "Allergie"
means = { en = "reports an allergy", de = "meldet eine Allergie" }
"""
BAKERY_WORDS = """
language = "de"
[labels."bread.crust"]
words = ["Kruste", "knusprig*"]
phrases = ["außen ... hart"]
not = ["Kruste der Erde"]
[labels."bread.price"]
weak = ["Cent"]
[[labels."bread.price".together]]
any = ["kosten", "teuer"]
with = ["Brot", "Brezel"]
[signals.allergy]
words = ["Allergie"]
"""


@pytest.fixture(scope="module")
def scorer() -> KeywordScorer:
    return KeywordScorer.load(taxonomy=load_taxonomy())


@pytest.fixture(scope="module")
def bakery(tmp_path_factory) -> Taxonomy:
    path = tmp_path_factory.mktemp("bakery") / "labels.toml"
    path.write_text(BAKERY, "utf-8")
    return load_taxonomy(path)


def one(scorer: KeywordScorer, text: str, language: str | None = "de") -> Prediction:
    return scorer.classify([Comment(id="1", text=text, language=language)])[0]


def found(prediction: Prediction) -> dict[str, str]:
    return {score.label: score.sentiment for score in prediction.labels}


def words_of(prediction: Prediction, label: str) -> list[str]:
    return [e.text for s in prediction.labels if s.label == label for e in s.evidence]


def written(folder: Path, text: str, name: str = "words.toml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_each_topic_of_a_mixed_comment_gets_its_own_sentiment_and_words(scorer):
    result = one(
        scorer,
        "Lieferung super schnell, aber die Hose war kaputt und am Telefon ging niemand ran.",
        None,
    )
    assert found(result) == {
        "delivery.speed": "positive",
        "product.quality": "negative",
        "service.availability": "negative",
    }
    assert words_of(result, "delivery.speed") == ["Lieferung super schnell"]
    assert words_of(result, "product.quality") == ["kaputt"]
    assert words_of(result, "service.availability") == ["am Telefon ging niemand ran"]
    assert result.language == "de"


def test_each_topic_of_a_mixed_english_comment_gets_its_own_sentiment(scorer):
    result = one(
        scorer, "Delivery was really fast, but the staff were rude and I want a refund.", "en"
    )
    assert found(result) == {
        "delivery.speed": "positive",
        "service.friendliness": "negative",
        "returns.refund": "negative",
    }
    assert words_of(result, "delivery.speed") == ["Delivery was really fast"]


@pytest.mark.parametrize(
    ("text", "language", "label", "sentiment"),
    [
        ("Die Mitarbeiter waren nicht freundlich", "de", "service.friendliness", "negative"),
        ("Die Rückgabe verlief ohne Probleme", "de", "returns.process", "positive"),
        ("Die Farbe gefällt mir nicht", "de", "product.fit", "negative"),
        ("Nicht nur günstig, auch die Preise sind fair", "de", "price.value", "positive"),
        ("Der Versand war weder schnell noch zuverlässig", "de", "delivery.speed", "negative"),
        ("The staff were not friendly", "en", "service.friendliness", "negative"),
        ("The staff weren't helpful or friendly", "en", "service.friendliness", "negative"),
        ("The return went without any trouble", "en", "returns.process", "positive"),
        ("Never had a problem with the quality", "en", "product.quality", "positive"),
    ],
)
def test_a_negation_turns_the_sentiment_inside_its_clause(scorer, text, language, label, sentiment):
    assert found(one(scorer, text, language))[label] == sentiment


def test_a_negation_ends_with_its_clause(scorer):
    result = one(scorer, "Das Paket kam nicht, aber der Kundenservice war gut")
    assert found(result)["service.resolution"] == "positive"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Die Stofffarbe ist schön", "product.fit"),  # head
        ("Umtauschformular war dabei", "returns.process"),  # modifier
        ("Gaspreise stimmen", "price.value"),  # head in the plural
        ("Newsletterflut", "brand.communication"),
        ("Verspaetung bei der Lieferung", "delivery.speed"),  # umlaut written out
        ("RÜCKSENDUNG WAR LEICHT", "returns.process"),
        ("Grosse Auswahl", "product.range"),  # ss for ß
        ("suuuper freuuundlich", "service.friendliness"),
    ],
)
def test_compounds_spellings_and_capitals_do_not_hide_a_word(scorer, text, label):
    assert label in found(one(scorer, text))


@pytest.mark.parametrize("text", ["Die Software ist da", "Der Supermarkt", "Mein Passwort"])
def test_a_word_that_only_looks_like_a_compound_is_left_whole(scorer, text):
    labels = found(one(scorer, text))
    assert not {"product.quality", "service.advice", "service.availability"} & set(labels)


def test_the_longer_entry_wins_over_a_word_in_it(scorer):
    assert "delivery.speed" not in found(one(scorer, "Schnelle Antwort bekommen"))
    assert "service.friendliness" not in found(one(scorer, "a user friendly shop", "en"))


def test_a_weak_entry_counts_only_where_nothing_else_is_said(scorer):
    assert found(one(scorer, "Top!")) == {"brand.satisfaction": "positive"}
    assert "brand.satisfaction" not in found(one(scorer, "Top Qualität"))


@pytest.mark.parametrize(
    ("text", "language", "signal"),
    [
        ("Nie wieder bestelle ich hier", "de", "churn"),
        ("Bitte um Rückruf", "de", "contact"),
        ("Es wäre schön, wenn man filtern könnte", "de", "suggestion"),
        ("Ich gehe damit zum Anwalt", "de", "legal"),
        ("Das Ladegerät hat Feuer gefangen", "de", "safety"),
        ("Bitte meine Daten löschen", "de", "privacy"),
        ("I will never use again", "en", "churn"),
        ("Please contact me", "en", "contact"),
        ("It would be nice to have a filter", "en", "suggestion"),
        ("I will take legal action", "en", "legal"),
        ("The charger caught fire", "en", "safety"),
        ("Delete my data", "en", "privacy"),
    ],
)
def test_signals_are_found_with_their_words(scorer, text, language, signal):
    signals = {score.signal: score for score in one(scorer, text, language).signals}
    assert signal in signals
    assert signals[signal].evidence[0].text in text


def test_a_wish_is_told_from_a_statement_in_the_same_words(scorer):
    assert not one(scorer, "Die Farbe ist schön").signals


@pytest.mark.parametrize("text", ["", "   ", "...", "n/a", "asdf", "\ud800", "\u200b"])
def test_an_empty_comment_has_no_label_and_is_neutral(scorer, text):
    result = one(scorer, text, None)
    assert (result.labels, result.signals, result.sentiment) == ((), (), "neutral")


def test_the_score_is_not_looked_at(scorer):
    low, high = (Comment(id="1", text="Alles super", score=score) for score in (0, 10))
    assert len(set(scorer.classify([low, high]))) == 1


def test_the_clients_word_on_the_language_wins(scorer):
    assert one(scorer, "Super", "en-GB").language == "en"
    assert one(scorer, "Super", "fr").language == "other"
    assert one(scorer, "Die Lieferung war schnell", None).language == "de"


def test_comments_keep_their_order_and_have_the_same_answer_alone(scorer):
    texts = ["Preise zu hoch", "", "Great app", "Paket nie angekommen", "👍", "rude staff"] * 5
    comments = [Comment(id=str(i), text=text) for i, text in enumerate(texts)]
    together = scorer.classify(comments)
    assert together == [scorer.classify([comment])[0] for comment in comments]
    assert together == list(reversed(scorer.classify(comments[::-1])))


def test_more_proof_is_more_confidence(scorer):
    word = one(scorer, "Kundenservice").labels[0]
    phrases = one(scorer, "Kundenservice half, Problem gelöst, Frage beantwortet").labels[0]
    assert word.label == phrases.label == "service.resolution"
    assert word.confidence == 0.5 < phrases.confidence < 1


def test_evidence_is_given_in_the_text_as_it_was_sent(scorer):
    text = "Tom &amp; Co:<br>\u200bdie  Lie\u00adferung war zu spa\u0308t 🎉"
    result = one(scorer, text)
    evidence = next(s for s in result.labels if s.label == "delivery.speed").evidence[0]
    assert text[evidence.start : evidence.end] == evidence.text
    assert evidence.text.endswith("spa\u0308t")


PIECES = st.sampled_from(
    [
        "Lieferung",
        "zu spät",
        "nicht",
        "👩\u200d👩\u200d👧",
        "&amp;",
        "e-mail",
        "don't",
        "a\u0308",
        "\ud83d",
        "\x00",
        "!",
        ", aber ",
        "app",
        "great",
        "שלום",
        "kaputt",
        "\n",
        " ",
        "l'app",
        "Kunden-service",
    ]
)


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=12).map("".join)))
def test_evidence_always_slices_to_its_text(scorer, text):
    result = one(scorer, text, None)
    for score in (*result.labels, *result.signals):
        assert score.evidence
        assert 0 < score.confidence < 1
        for evidence in score.evidence:
            assert text[evidence.start : evidence.end] == evidence.text != ""


def test_a_company_defines_its_own_labels_by_words(bakery, tmp_path):
    own = KeywordScorer.load([written(tmp_path, BAKERY_WORDS)], taxonomy=bakery)
    assert found(one(own, "Die Brotkruste war nicht gut")) == {"bread.crust": "negative"}
    assert found(one(own, "Herrlich knuspriges Brot, super")) == {"bread.crust": "positive"}
    assert words_of(one(own, "Außen war es leider hart"), "bread.crust") == [
        "Außen war es leider hart"
    ]
    assert found(one(own, "Die Kruste der Erde")) == {}
    assert found(one(own, "Das Brot ist zu teuer")) == {"bread.price": "negative"}
    assert found(one(own, "Teuer ist es hier")) == {}
    assert found(one(own, "90 Cent")) == {"bread.price": "neutral"}
    assert [s.signal for s in one(own, "Nussallergie!").signals] == ["allergy"]


def test_several_files_of_a_language_are_read_as_one(tmp_path):
    more = written(tmp_path, 'language = "de"\n[labels."price.value"]\nwords = ["Moneten"]\n')
    taxonomy = load_taxonomy()
    both = KeywordScorer.load([SHIPPED["de"], more], taxonomy=taxonomy)
    assert set(found(one(both, "Moneten und Retoure"))) == {"price.value", "returns.process"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["language"]),
        ('language = "fr"', ["'fr'", '"de" or "en"']),
        ('language = "de"\nlables = {}', ["'lables'", "'labels'"]),
        (
            'language = "de"\n[labels."bread.crumb"]\nwords = ["a"]',
            ["'bread.crumb'", "bread.crust"],
        ),
        ('language = "de"\n[signals.alergy]\nwords = ["a"]', ["'alergy'", "'allergy'"]),
        ('language = "de"\n[labels."bread.crust"]\nword = ["a"]', ["bread.crust", "'words'"]),
        ('language = "de"\n[labels."bread.crust"]\nwords = []', ["words", "empty"]),
        ('language = "de"\n[labels."bread.crust"]\nwords = [""]', ["words", "empty"]),
        ('language = "de"\n[labels."bread.crust"]\nwords = "a"', ["words", "list of texts"]),
        ('language = "de"\n[labels."bread.crust"]\nwords = [1]', ["words", "list of texts"]),
        ('language = "de"\n[labels."bread.crust"]\nwords = ["a", "a"]', ["'a'", "twice"]),
        ('language = "de"\n[labels."bread.crust"]\nwords = ["a b"]', ["'a b'", "phrases"]),
        ('language = "de"\n[labels."bread.crust"]\nphrases = ["a"]', ["'a'", "words"]),
        ('language = "de"\n[labels."bread.crust"]\nwords = ["a*b"]', ["'a*b'", "end of one word"]),
        ('language = "de"\n[labels."bread.crust"]\nnot = ["a"]', ["bread.crust", "nothing"]),
        ('language = "de"\n[labels]\n"bread.crust" = ["a"]', ["bread.crust", "table"]),
        ('language = "de"\nlabels = 3', ["labels", "table"]),
        ('language = "de"\n[[labels."bread.crust".together]]\nany = ["a"]', ["together", "with"]),
        ('language = "de"\n[labels."bread.crust"]\ntogether = ["a"]', ["together", "any and with"]),
        ('language = "de"\n[polarity]\npositive = ["a"]\nnegative = ["a"]', ["'a'", "keep one"]),
        ('language = "de"\n[polarity]\npositive = ["a"]', ["negative", "list of texts"]),
        ('language = "de"\n[negation]\nbefore = ["a"]\nreach = 0', ["reach", "at least 1"]),
        ('language = "de"\n[compounds]\nshortest_part = true', ["shortest_part", "whole number"]),
        ('language = "de"\n[lemmas]\nkeep = []', ["keep", "empty"]),
        ("language = ", ["not valid TOML"]),
    ],
)
def test_a_wrong_file_is_named_with_its_key_and_what_would_be_right(bakery, tmp_path, text, parts):
    path = written(tmp_path, text)
    with pytest.raises(KeywordsError) as caught:
        KeywordScorer.load([path], taxonomy=bakery)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_section_of_a_language_may_stand_in_one_file_only(bakery, tmp_path):
    text = 'language = "de"\n[lemmas]\nkeep = ["a"]\n'
    paths = [written(tmp_path, text, name=name) for name in ("one.toml", "two.toml")]
    with pytest.raises(KeywordsError, match=r"two\.toml: \[lemmas\] stands in another file"):
        KeywordScorer.load(paths, taxonomy=bakery)


def test_a_missing_file_and_no_file_at_all_are_named(bakery, tmp_path):
    with pytest.raises(KeywordsError, match=r"gone\.toml: cannot be read"):
        KeywordScorer.load([tmp_path / "gone.toml"], taxonomy=bakery)
    with pytest.raises(KeywordsError, match="no keyword file"):
        KeywordScorer.load([], taxonomy=bakery)


def test_the_shipped_lists_do_not_fit_another_taxonomy(bakery):
    with pytest.raises(KeywordsError, match="is not in the taxonomy"):
        KeywordScorer.load(taxonomy=bakery)


@pytest.mark.parametrize("library", ["spacy", "simplemma"])
def test_a_missing_library_is_reported_by_the_name_of_its_extra(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match="'keywords'"):
        KeywordScorer.load(taxonomy=load_taxonomy())


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_label_and_signal_has_at_least_fifteen_entries(language):
    from model.keyword_rules import load_rules

    taxonomy = load_taxonomy()
    rules = load_rules(None, taxonomy=taxonomy)[language]
    for terms, known in ((rules.labels, taxonomy.labels), (rules.signals, taxonomy.signals)):
        assert set(terms) == set(known)
        assert all(len(lists.entries) >= 15 for lists in terms.values())
    assert rules.polarity is not None
    assert min(len(rules.polarity.positive), len(rules.polarity.negative)) >= 200
