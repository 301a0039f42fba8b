from __future__ import annotations

import pytest
from hypothesis import given

from model.clauses import clauses
from model.text import clean, words
from tests.strange_texts import ANYTHING, assert_ordered, texts


@pytest.mark.parametrize(
    "marked",
    [
        # ends of sentences, and dots that are none
        "Alles gut. | Gerne wieder!!! | Danke",
        "NIE WIEDER!!!| Bus fuhr ohne uns los.",
        "War gut.| Aber teuer",
        "Lieferung z.B. am Montag, d.h. sehr spät bzw. gar nicht.",
        "z. B. Lieferung und i. d. R. Hotline",
        "Works e.g. on iOS, i.e. on my phone",
        "Am 3. Mai bestellt. | Am 12. kam es an. | Bis 2020. | It is now March.",
        "Es kostete 20. | Die Lieferung kam nie.",
        "Kostet 3.50 statt 2.99 Euro",
        "Hotline Nr. 2 in St. Gallen, ca. 5 Min. gewartet",
        "Schuhe, Hosen usw. | Die Hose passt",
        "Opened at 5 p.m. | The parcel was gone",
        "Siehe www.example.de/a.Bc oder an a.B@example.de",
        "War ... na ja ... ganz ok…",
        "Service war wirklich gut... | Die Lieferung kam spät",
        "Drei (!) Wochen gewartet",
        "Super Service! 👍 | Gerne wieder 😀",
        'Sie sagte "Warum?" | und legte auf',
        # semicolons, dashes
        "Preis gut; | Qualität schlecht ;-) echt",
        "Sehr schlechter Service - | nie wieder hier",
        "Great food \u2013 | terrible service",
        "Öffnungszeiten 8 - 12 Uhr, Preis - Leistung",
        # contrast
        "Schnell | aber teuer",
        "Die Lieferung war schnell, | aber die Hose war kaputt",
        "Das ist aber schade",
        "Hose kaputt, | dafür war der Service nett",
        "Kann nichts dafür",
        "Gute Ware | leider nur lange Lieferzeit",
        "Nicht der Preis, | sondern der Service",
        "Das Personal ist nett, | jedoch dauert alles ewig",
        "Good food | but slow service",
        "Nothing but trouble",
        "The staff was lovely, | though the room was cold",
        "I waited for a while",
        "The food came very late | even though the place was empty",
        "Has not arrived yet",
        "Delivery was quick, | however the box was damaged",
        # commas
        "Lieferung super schnell, | Hose leider völlig kaputt",
        "Die Lieferung kam pünktlich, | der Fahrer war sehr nett",
        "The parcel came on time, | the driver was friendly",
        "Preis, Leistung, Service und Beratung top",
        "Die Verkäuferin war nett, freundlich, kompetent und hilfsbereit",
        "The staff was friendly, helpful, patient and kind",
        "We bought apples, two big pears, and bread",
        "Ich finde es schade, dass die Lieferung so lange dauert",
        "Das Personal in Berlin, München und Hamburg war gut",
        # nothing to split
        "👍👍",
        "...",
    ],
)
def test_clauses_end_where_a_reader_pauses(marked):
    text = marked.replace("| ", "").replace("|", "")
    expected = [part.strip() for part in marked.split("|")]
    if ".|" in marked or "!|" in marked:  # no space in the text either
        text = marked.replace("| ", "")
    assert texts(text, clauses(text)) == expected


def test_an_empty_text_has_no_clause():
    assert clauses("") == []


@given(ANYTHING)
def test_clauses_cover_all_but_white_space_and_hold_a_word_each(original):
    text = clean(original).text
    spans = clauses(text)
    assert_ordered(spans, length=len(text))
    inside = {place for start, end in spans for place in range(start, end)}
    assert all(i in inside for i, char in enumerate(text) if not char.isspace())
    if len(spans) > 1:
        assert all(any(map(str.isalnum, part)) for part in texts(text, spans))


@given(ANYTHING)
def test_no_clause_cuts_a_word(original):
    text = clean(original).text
    borders = {place for span in clauses(text) for place in span}
    for start, end in words(text):
        assert not borders & set(range(start + 1, end))
