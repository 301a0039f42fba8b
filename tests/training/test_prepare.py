import json
import lzma
import shutil

import pytest

from model.errors import ConfigError, DataError
from tests.training.conftest import parts_of
from tests.training.tiny import comments
from training.config import Vocabulary, load_run
from training.corpus import text_key
from training.prepare import prepare_encoder, read_data, read_taxonomy
from training.run import train

SOURCES = {
    "train": '[[train]]\npath = "train.jsonl"\n',
    "tune": '[[tune]]\npath = "tune.jsonl"\n',
    "test": '[[test]]\npath = "test.jsonl"\n',
    "must_route": '[[must_route]]\npath = "must.jsonl"\n',
}


@pytest.fixture
def site(project, tmp_path):
    """Return a copy of the tiny project, free to change."""
    shutil.copytree(project.parent, tmp_path / "site")
    return tmp_path / "site"


def read(site, *kinds, more=""):
    head = (site / "run.toml").read_text("utf-8").split("[[train]]")[0]
    (site / "run.toml").write_text(head + "".join(SOURCES[kind] for kind in kinds) + more, "utf-8")
    run = load_run(site / "run.toml")
    return read_data(run, folder=site, taxonomy=read_taxonomy(run, folder=site))


def write(site, name, *records):
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    (site / name).write_text("\n".join(lines), "utf-8")


def keys(examples):
    return {text_key(example.text) for example in examples}


def test_no_text_stands_in_two_parts(site):
    rows = comments(60)
    for name, part in (("train", rows), ("tune", rows[20:40]), ("test", rows[30:50])):
        write(site, f"{name}.jsonl", *part)
    data = read(site, "train", "tune", "test")
    (train_part,) = data.train
    assert (len(train_part), len(data.tune), len(data.test)) == (30, 10, 20)
    assert not keys(train_part) & keys(data.tune)
    assert not keys(train_part + data.tune) & keys(data.test)


def test_without_data_for_tuning_about_a_tenth_is_set_aside_the_same_each_time(site):
    write(site, "train.jsonl", *comments(400))
    data = read(site, "train")
    (train_part,) = data.train
    assert len(train_part) + len(data.tune) == 400
    assert 20 < len(data.tune) < 60
    assert not keys(train_part) & keys(data.tune)
    assert read(site, "train").fingerprint() == data.fingerprint()


def test_another_text_gives_the_data_another_fingerprint(site):
    before = read(site, "train", "tune", "test").fingerprint()
    write(site, "train.jsonl", *comments(160)[:-1], {"text": "noch einer", "labels": []})
    assert read(site, "train", "tune", "test").fingerprint() != before


def test_an_empty_text_is_judged_but_never_learnt_from(site):
    empty = [{"id": "e", "text": text, "labels": []} for text in ("", " \n", "\u200b&nbsp;")]
    for name in ("train", "tune", "test"):
        write(site, f"{name}.jsonl", *empty, {"id": name, "text": name, "labels": []})
    data = read(site, "train", "tune", "test")
    assert [example.id for example in data.train[0]] == ["train"]
    assert [example.id for example in data.tune] == ["tune"]
    assert [example.id for example in data.test] == ["e", "e", "e", "test"]


@pytest.mark.parametrize(
    ("kinds", "key"), [(("train", "tune", "test"), "tune"), (("train", "test"), "train")]
)
def test_a_part_of_which_nothing_is_left_is_named(kinds, key, site):
    for name in kinds:
        write(site, f"{name}.jsonl", {"text": "Alles laut!", "labels": []})
    with pytest.raises(ConfigError, match=f"{key}: no comment is left"):
        read(site, *kinds)


def test_a_full_annotation_wins_over_a_coarse_one_of_an_earlier_source(site):
    write(site, "coarse.jsonl", {"text": "So laut", "labels": [{"label": "stay"}]})
    (site / "map.toml").write_text('[labels.stay]\nany_of = ["room"]\n', "utf-8")
    write(site, "train.jsonl", {"text": "so LAUT!", "labels": [{"label": "room.noise"}]})
    source = '[[train]]\npath = "coarse.jsonl"\nmapping = "map.toml"\n'
    data = read(site, "tune", more=source + SOURCES["train"])
    assert [len(part) for part in data.train] == [0, 1]


def test_ids_choose_records(site):
    (site / "ids.txt").write_text("t3\nt1\n", "utf-8")
    write(site, "train.jsonl", *comments(10))
    data = read(site, "tune", "train", more='ids = "ids.txt"\n')
    assert [example.id for example in data.train[0]] == ["t1", "t3"]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"t1\nt999\n", "1 ids have no record, the first is 't999'"), (b"\xff", "UTF-8")],
)
def test_a_wrong_file_of_ids_is_named(content, says, site):
    (site / "ids.txt").write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read(site, "tune", "train", more='ids = "ids.txt"\n')
    assert "ids.txt" in str(caught.value)


def prepared(site, *texts, size=300):
    run = load_run(site / "run.toml").model_copy(
        update={"vocabulary": Vocabulary(size=size, texts=texts)}
    )
    return prepare_encoder(run, folder=site, cache=site / "cache")


def test_a_vocabulary_is_cut_to_texts_in_any_of_three_forms_and_kept(site):
    (site / "a.tsv").write_text("blitzsauber\tvery clean\n", "utf-8")
    with lzma.open(site / "b.tsv.xz", "wt", encoding="utf-8") as file:
        file.write("laut\tnoisy\n")
    cut = prepared(site, "train.jsonl", "*.tsv", "*.tsv.xz")
    assert json.loads((cut / "config.json").read_text("utf-8"))["vocab_size"] <= 300
    written = (cut / "model.safetensors").stat().st_mtime_ns
    assert prepared(site, "train.jsonl", "*.tsv", "*.tsv.xz") == cut
    assert (cut / "model.safetensors").stat().st_mtime_ns == written
    assert prepared(site, "train.jsonl", size=301) != cut


def test_a_pattern_of_texts_that_matches_no_file_is_named(site):
    with pytest.raises(ConfigError, match=r"vocabulary\.texts: no file matches 'nix/\*\.jsonl'"):
        prepared(site, "nix/*.jsonl")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", b"sch\xf6n\tnice\n"),
        ("b.tsv.xz", b"no xz"),
        ("c.tsv.xz", lzma.compress(b"x")[:-9]),
    ],
)
def test_a_damaged_file_of_texts_is_named(name, content, site):
    (site / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        prepared(site, name)


def test_an_encoder_that_is_not_there_is_named_by_its_key(site, monkeypatch):
    monkeypatch.setattr("training.encoder._from_hub", lambda *_: False)
    run = load_run(site / "run.toml").model_copy(update={"base": "encodr"})
    with pytest.raises(ConfigError, match="base = 'encodr': no such folder"):
        prepare_encoder(run, folder=site, cache=site / "cache")


def test_a_mistake_in_the_data_costs_no_checkpoint_though_a_restart_was_asked_for(site):
    work = site / "data" / "runs" / "hotel-1"
    work.mkdir(parents=True)
    (work / "checkpoint.pt").write_bytes(b"days of work")
    (site / "train.jsonl").write_text("{", "utf-8")
    with pytest.raises(DataError):
        train(site / "run.toml", data_dir=site / "data", restart=True)
    assert (work / "checkpoint.pt").read_bytes() == b"days of work"


def test_a_run_is_the_same_whatever_folder_it_is_called_from(site, monkeypatch):
    whole = parts_of(site / "run.toml", site / "cache")
    monkeypatch.chdir(site)
    near = load_run(site / "run.toml")
    assert near == whole.run
    assert whole.encoder.resolve() == (site / "encoder").resolve()


def test_a_case_that_must_be_routed_right_is_never_trained_on(site):
    rows = comments(40)
    cases = [{"text": row["text"], "signals": []} for row in rows[:5]]
    write(site, "train.jsonl", *rows)
    write(site, "must.jsonl", *cases)
    data = read(site, "train", "must_route")
    assert len(data.must_route) == 5
    assert not keys(data.must_route) & keys([*data.train[0], *data.tune])


def test_ids_that_are_kept_for_judging_are_left_out_of_a_source(site):
    rows = comments(40)
    write(site, "train.jsonl", *rows)
    (site / "kept.txt").write_text("t0\nt1\nelsewhere\n", "utf-8")
    whole = read(site, "train", more="")
    run = (site / "run.toml").read_text("utf-8")
    (site / "run.toml").write_text(
        run.replace("[[train]]", '[[train]]\nwithout = "kept.txt"'), "utf-8"
    )
    config = load_run(site / "run.toml")
    data = read_data(config, folder=site, taxonomy=read_taxonomy(config, folder=site))
    left = {example.id for example in [*data.train[0], *data.tune]}
    assert left == {example.id for example in [*whole.train[0], *whole.tune]} - {"t0", "t1"}


def test_the_cost_of_a_signal_that_is_not_there_is_refused_before_the_run(site):
    run = load_run(site / "run.toml").model_copy(update={"miss_costs": {"pests": 9.0}})
    with pytest.raises(ConfigError, match=r"miss_costs names the signal 'pests'.*'pest'\?"):
        read_taxonomy(run, folder=site)


def test_labels_that_a_source_did_not_know_are_left_open(site):
    write(site, "train.jsonl", *comments(60))
    source = '[[train]]\npath = "train.jsonl"\nopen = ["room.noise"]\n'
    data = read(site, "tune", "test", more=source)
    (train_part,) = data.train
    assert any("room.noise" in example.labels for example in train_part)
    assert all("room.noise" not in example.absent for example in train_part)
    assert any("room.clean" in example.absent for example in train_part)


def test_an_open_label_that_the_taxonomy_has_not_is_named(site):
    source = '[[train]]\npath = "train.jsonl"\nopen = ["room.noises"]\n'
    with pytest.raises(ConfigError, match=r"'room\.noises'.*did you mean 'room\.noise'"):
        read(site, "tune", "test", more=source)
