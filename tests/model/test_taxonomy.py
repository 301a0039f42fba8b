from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import TaxonomyError
from model.taxonomy import SHIPPED, Taxonomy, load_taxonomy

BAKERY = """version = 1
sentiments = ["negative", "neutral", "positive"]
[areas]
bread = { en = "Bread", de = "Brot" }
[labels."bread.crust"]
en = "Crust"
de = "Kruste"
means = { en = "how crisp it is", de = "wie knusprig es ist" }
[labels."bread.price"]
en = "Price"
de = "Preis"
means = { en = "what it costs", de = "was es kostet" }
[signals.mould]
en = "Mould"
de = "Schimmel"
means = { en = "mould was found", de = "Schimmel wurde gefunden" }
"""


def bakery(folder: Path, *changes: tuple[str, str], more: str = "") -> Path:
    text = BAKERY
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "bakery.toml"
    path.write_text(text + more, encoding="utf-8")
    return path


def read(folder: Path, *changes: tuple[str, str], more: str = "") -> Taxonomy:
    return load_taxonomy(bakery(folder, *changes, more=more))


def test_a_company_brings_its_own_areas_labels_and_signals(tmp_path):
    taxonomy = read(tmp_path)
    assert list(taxonomy.labels) == ["bread.crust", "bread.price"]
    assert list(taxonomy.signals) == ["mould"]
    assert taxonomy.topics("bread") == ("bread.crust", "bread.price")
    assert taxonomy.labels["bread.crust"].area == "bread"
    assert taxonomy.signals["mould"].area == ""
    assert taxonomy.labels["bread.crust"].described == (
        "Crust: how crisp it is. Kruste: wie knusprig es ist."
    )


def test_the_shipped_file_has_names_and_meanings_in_both_languages():
    taxonomy = load_taxonomy()
    terms = [*taxonomy.labels.values(), *taxonomy.signals.values()]
    assert len(terms) > 20
    for term in terms:
        assert set(term.name) == set(term.means) == {"en", "de"}
    assert {term.area for term in taxonomy.labels.values()} == set(taxonomy.areas)


def test_the_fingerprint_follows_meanings_and_not_display_names(tmp_path):
    plain = read(tmp_path).fingerprint()
    assert read(tmp_path, ('de = "Kruste"', 'de = "Rinde"')).fingerprint() == plain
    assert read(tmp_path, ('en = "Bread"', 'en = "Loaves"')).fingerprint() == plain
    assert read(tmp_path, ("was es kostet", "der Preis")).fingerprint() != plain
    assert read(tmp_path, ("bread.price", "bread.cost")).fingerprint() != plain
    assert read(tmp_path, ("mould was found", "mould was seen")).fingerprint() != plain


def test_only_the_fingerprint_of_a_changed_term_changes(tmp_path):
    before = read(tmp_path).term_fingerprints()
    after = read(tmp_path, ("was es kostet", "der Preis")).term_fingerprints()
    assert set(before) == {"bread.crust", "bread.price", "signal:mould"}
    assert [key for key in before if before[key] != after[key]] == ["bread.price"]


def test_retired_labels_and_signals_are_left_out_and_remembered(tmp_path):
    more = "retired = true\n"
    taxonomy = read(
        tmp_path, ("[signals", 'retired = true\nreplaced_by = "bread.crust"\n[signals'), more=more
    )
    assert list(taxonomy.labels) == ["bread.crust"]
    assert taxonomy.signals == {}
    assert taxonomy.retired == {"bread.price", "signal:mould"}


def test_signals_version_and_sentiments_may_be_left_out(tmp_path):
    text = BAKERY.split("[signals")[0].split("\n", 2)[2]
    (tmp_path / "short.toml").write_text(text, "utf-8")
    assert load_taxonomy(tmp_path / "short.toml").signals == {}


def test_a_file_that_an_editor_saved_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "marked.toml"
    path.write_text(BAKERY, "utf-8-sig")
    assert "bread.crust" in load_taxonomy(path).labels


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("version = 1", "version = 2", "version must be 1, not 2"),
        ("version = 1", "versoin = 1", "unknown key 'versoin'; did you mean 'version'?"),
        ('"neutral", ', "", "sentiments must be"),
        ("[areas]", "[area]", "unknown key 'area'; did you mean 'areas'?"),
        ("[areas]\n", "[areas]\nBread = 3\n", "id 'Bread' may hold"),
        ("[areas]\n", "[areas]\ncake = 3\n", "[areas] cake must be a table with en and de"),
        (', de = "Brot"', "", "[areas] bread: a text for 'de' is missing"),
        (', de = "Brot"', ', de = "Brot", fr = "Pain"', "[areas] bread: unknown key 'fr'"),
        ("bread.crust", "crust", '[labels."crust"]: a label id is area.topic'),
        ("bread.crust", "bred.crust", "unknown area 'bred'; did you mean 'bread'?"),
        ("bread.crust", "bread.Crust", "id 'Crust' may hold"),
        ("bread.crust", "bread.crust.top", "id 'crust.top' may hold"),
        ('en = "Crust"', 'en = " "', "[labels.\"bread.crust\"]: a text for 'en' is missing"),
        ('en = "Crust"', "", "a text for 'en' is missing or empty"),
        ('en = "Crust"', 'nl = "Korst"', "unknown key 'nl'"),
        ("wie knusprig es ist", "", "means: a text for 'de' is missing or empty"),
        ('en = "how crisp it is", ', "", "means: a text for 'en' is missing or empty"),
        ('en = "Price"', 'en = "Price"\nretired = "yes"', "retired must be true or false"),
        ('en = "Price"', 'en = "Price"\nreplaced_by = "bread.crust"', "needs retired = true"),
        (
            'en = "Price"',
            'en = "Price"\nretired = true\nreplaced_by = "bread.crist"',
            "unknown replaced_by 'bread.crist'; did you mean 'bread.crust'?",
        ),
        (
            'en = "Price"',
            'en = "Price"\nretired = true\nreplaced_by = ["bread.crust"]',
            "unknown replaced_by",
        ),
        ("[signals.mould]", '[signals."old mould"]', "id 'old mould' may hold"),
        ("[areas]\n", "signals = 3\n[areas]\n", "is not valid TOML"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_what_would_be_right(tmp_path, old, new, said):
    with pytest.raises(TaxonomyError) as caught:
        read(tmp_path, (old, new))
    line = str(caught.value)
    assert said in line
    assert line.startswith(str(tmp_path / "bakery.toml"))
    assert "\n" not in line


def test_a_taxonomy_needs_a_label_in_use(tmp_path):
    with pytest.raises(TaxonomyError, match="no label in use"):
        read(
            tmp_path,
            ('en = "Crust"', 'retired = true\nen = "Crust"'),
            ('en = "Price"', 'retired = true\nen = "Price"'),
        )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "[areas] is missing"),
        (b"areas = 3", "[areas] is missing"),
        (b"[areas]\n", "[labels] is missing"),
        (b"[areas", "is not valid TOML"),
        (b"version = " + b"9" * 5000, "is not valid TOML"),
        (b"a = " + b"[" * 5000, "is not valid TOML"),
        (b"\xff\xfe", "is not UTF-8 (byte 0)"),
        (b'[areas]\n[labels."a\\nb"]\n', "a label id is area.topic"),
        (b'[areas]\n[labels]\n"a.b" = 3\n', "must be a table"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(TaxonomyError) as caught:
        load_taxonomy(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "nothing.toml", tmp_path):
        with pytest.raises(TaxonomyError, match="cannot be read"):
            load_taxonomy(path)


@given(st.data())
def test_a_shipped_file_with_a_piece_cut_out_is_read_or_refused_in_one_line(tmp_path_factory, data):
    text = SHIPPED.read_text("utf-8")[:4000]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 200)))
    path = tmp_path_factory.mktemp("cut") / "cut.toml"
    path.write_text(text[:start] + text[end:], "utf-8")
    problem = ""
    try:
        load_taxonomy(path)
    except TaxonomyError as error:
        problem = str(error)
    assert len(problem.splitlines()) <= 1
