from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given

from model.text import MAX_MARKS, CleanText, calm, clean, words
from tests.strange_texts import ANYTHING, assert_ordered, texts

# --- cleaning


@pytest.mark.parametrize(
    ("original", "cleaned"),
    [
        ("", ""),
        ("Lieferung super schnell.", "Lieferung super schnell."),
        ("  Zu   spät\r\n\r\nund\tkaputt \n", "Zu spät und kaputt"),
        ("Tom &amp; Jerry sagen &quot;sch&ouml;n&quot;", 'Tom & Jerry sagen "schön"'),
        ("5 &#8364;&nbsp;gespart &#x1F600;", "5 € gespart 😀"),
        ("&amp;auml; bleibt", "&auml; bleibt"),
        ("A&B; H&M &bogus; &", "A&B; H&M &bogus; &"),
        ("Gut.<br />Aber<BR>teuer", "Gut. Aber teuer"),
        ("scho\u0308n und u\u0308bersichtlich", "schön und übersichtlich"),
        ("\ufeffLie\xadfer\u200bung \u202eok\u202c", "Lieferung ok"),
        ("gut\x00\x07 so", "gut so"),
        ("kaputt \ud83d und \ude00 weg", "kaputt und weg"),
        ("GRÖSSE passt NICHT!!! :-(", "GRÖSSE passt NICHT!!! :-("),
        ("a\u200db a\ufe0f", "ab a"),
    ],
)
def test_cleaning_keeps_what_the_customer_said(original, cleaned):
    assert clean(original).text == cleaned


@pytest.mark.parametrize(
    "emoji", ["👩‍💻", "👨‍👩‍👧‍👦", "❤️", "🏳️‍🌈", "👍🏽", "🇩🇪", "1️⃣", "🏴\U000e0067\U000e0062\U000e007f"]
)
def test_an_emoji_keeps_its_joiners_and_is_one_word(emoji):
    text = clean(f"Top {emoji}, danke").text
    assert text == f"Top {emoji}, danke"
    assert texts(text, words(text)) == ["Top", emoji, "danke"]


@pytest.mark.parametrize(
    ("original", "needle", "covered"),
    [
        ("  sch&ouml;n\n\nteuer", "schön", "sch&ouml;n"),
        ("u\u0308ber\u200bteuert!", "überteuert", "u\u0308ber\u200bteuert"),
        ("\ufeffToo\xad slow\u200b!", "slow", "slow"),
        ("gut \n\t <br> aber", " ", " \n\t <br> "),
        ("x\u0302\u0308 gut", "\u0302", "x\u0302\u0308"),
        ("שלום  עולם", "עולם", "עולם"),
    ],
)
def test_a_span_leads_back_to_the_characters_that_made_it(original, needle, covered):
    cleaned = clean(original)
    start = cleaned.text.index(needle)
    a, b = cleaned.original_span(start, start + len(needle))
    assert original[a:b] == covered


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (2, 1), (0, 4)])
def test_a_span_outside_the_text_is_refused(start, end):
    with pytest.raises(ValueError, match="outside a text of 3 characters"):
        clean("gut").original_span(start, end)


@given(ANYTHING)
@example("e" + "\u0301" * 100 + "x")
@example("\u0301 \u0301")
def test_any_text_becomes_clean(original):
    text = clean(original).text
    text.encode("utf-8")
    assert unicodedata.is_normalized("NFC", text)
    assert text == text.strip()
    assert "  " not in text
    assert not any(char.isspace() and char != " " for char in text)
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in text)


@pytest.mark.parametrize(
    ("text", "calmed"),
    [
        ("NIE WIEDER!!! 3 WOCHEN GEWARTET", "nie wieder!!! 3 wochen gewartet"),
        ("GRÖSSE PASST", "grösse passt"),
        ("Sehr GUT", "Sehr GUT"),
        ("DHL", "DHL"),  # a name, not a shout
        ("😡😡", "😡😡"),
    ],
)
def test_a_text_that_is_shouted_is_read_in_lower_case(text, calmed):
    assert calm(text) == calmed


@given(ANYTHING)
@example("İSTANBUL İSTANBUL")
def test_calming_keeps_every_offset(original):
    assert len(calm(original)) == len(original)


@given(ANYTHING)
def test_every_span_lies_in_the_original_in_order(original):
    cleaned = clean(original)
    assert isinstance(cleaned, CleanText)
    assert cleaned.original == original
    size = len(cleaned.text)
    single = [cleaned.original_span(i, i + 1) for i in range(size)]
    assert all(0 <= a < b <= len(original) for a, b in single)
    assert single == sorted(single)
    assert [b for _, b in single] == sorted(b for _, b in single)
    # Neighbours share a stretch (two characters of one cluster or entity) or do not overlap.
    assert all(x == y or x[1] <= y[0] for x, y in pairwise(single))
    for i in range(size + 1):
        a, b = cleaned.original_span(i, i)
        assert 0 <= a == b <= len(original)
    if size:
        assert cleaned.original_span(0, size) == (single[0][0], single[-1][1])


@given(ANYTHING)
def test_what_no_span_covers_is_nothing_that_shows(original):
    cleaned = clean(original)
    covered = bytearray(len(original))
    for a, b in zip(cleaned.starts, cleaned.ends, strict=True):
        covered[a:b] = b"\1" * (b - a)
    rest = [char for char, seen in zip(original, covered, strict=True) if not seen]
    if (
        "&" not in original and "<" not in original
    ):  # `&shy;` and a `<br>` at the edge leave nothing
        assert all(
            char.isspace()
            or unicodedata.category(char) in {"Cc", "Cf", "Cs"}
            or char in "\ufe0e\ufe0f"
            for char in rest
        )


@given(ANYTHING)
def test_the_original_of_a_word_cleans_to_that_word(original):
    cleaned = clean(original)
    for start, end in words(cleaned.text):
        a, b = cleaned.original_span(start, end)
        assert clean(original[a:b]).text == cleaned.text[start:end]


def test_marks_beyond_thirty_on_a_letter_are_dropped_but_covered():
    original = "e" + "\u0323" * 1000 + " gut"
    cleaned = clean(original)
    assert len(cleaned.text) == MAX_MARKS + len(" gut")  # the first mark composed with the letter
    assert cleaned.original_span(0, 1) == (0, 1001)


# --- words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lieferung super schnell!", ["Lieferung", "super", "schnell"]),
        ("Geht's noch? Don\u2019t know.", ["Geht's", "noch", "Don\u2019t", "know"]),
        ("E-Mail-Adresse, Ein- und Ausgang", ["E-Mail-Adresse", "Ein", "und", "Ausgang"]),
        ("nur 12,50 € statt €1,299.99", ["nur", "12,50 €", "statt", "€1,299.99"]),
        ("20% teurer, 100%ig, 5€/Monat", ["20%", "teurer", "100%ig", "5€", "Monat"]),
        ("am 3.5.2021 um 18:30 Uhr.", ["am", "3.5.2021", "um", "18:30", "Uhr"]),
        ("Mitarbeiter:innen (nett)", ["Mitarbeiter:innen", "nett"]),
        ("bei H&M, shop.example.de/x", ["bei", "H&M", "shop.example.de", "x"]),
        ("siehe https://a.de/b?c=1.", ["siehe", "https://a.de/b?c=1"]),
        ("an a.b@example.org!", ["an", "a.b@example.org"]),
        ("gut👍👍 :-) ...", ["gut", "👍", "👍"]),
        ("xx\u0302y' \u0302", ["xx\u0302y"]),
        ("'ne_gute_ Sache", ["ne_gute", "Sache"]),
        ("!?\u2026 \u2013 \u201e\u201c", []),
        ("", []),
    ],
)
def test_words_are_whole_and_without_punctuation(text, expected):
    assert texts(text, words(text)) == expected


@given(ANYTHING)
def test_words_are_in_order_and_cut_no_mark_from_its_letter(original):
    text = clean(original).text
    spans = words(text)
    assert_ordered(spans, length=len(text))
    for start, end in spans:
        assert not unicodedata.category(text[start]).startswith("M")
        assert end == len(text) or not unicodedata.category(text[end]).startswith("M")
    in_words = {place for start, end in spans for place in range(start, end)}
    assert all(i in in_words for i, char in enumerate(text) if char.isalnum())
