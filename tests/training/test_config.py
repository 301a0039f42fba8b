import pytest

from model.errors import ConfigError
from training.config import check_files, load_run

RUN = """
name = "shop-1"
base = "encoder"
taxonomy = "labels.toml"
[vocabulary]
size = 500
texts = ["train.jsonl"]
[[train]]
path = "train.jsonl"
[[train]]
path = "mehr.jsonl"
share = 0.5
[[tune]]
path = "tune.jsonl"
"""


def write(folder, text=RUN):
    file = folder / "run.toml"
    file.write_text(text, "utf-8")
    return file


def complaint(file):
    with pytest.raises(ConfigError) as caught:
        load_run(file)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(file))
    return message.removeprefix(str(file))


def test_a_run_file_is_read_with_defaults_for_what_it_leaves_open(tmp_path):
    run = load_run(write(tmp_path))
    assert [source.share for source in run.train] == [1.0, 0.5]
    assert run.vocabulary.size == 500
    assert (run.epochs, run.seed, run.languages) == (8, 13, ("de", "en"))


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("base =", "bass =", ["unknown key 'bass'", "did you mean 'base'?"]),
        ("share =", "shear =", ["unknown key 'train[1].shear'", "did you mean 'share'?"]),
        ("size = 500", "size = 500\nsizes = 1", ["'vocabulary.sizes'", "did you mean 'size'?"]),
        ('base = "encoder"', "", ["key 'base' is missing", "intfloat/multilingual-e5-small"]),
        ("size = 500", "", ["key 'vocabulary.size' is missing", "size = 58000"]),
        ('[[tune]]\npath = "tune.jsonl"', "[[tune]]", ["'tune[0].path' is missing", "path = "]),
        ('name = "shop-1"', 'name = "Shop 1"', ["name = 'Shop 1'", "match pattern"]),
        ('name = "shop-1"', "name = 5", ["name = 5", "valid string"]),
        ('name = "shop-1"', "name = 2026-01-01", ["name = ", "valid string"]),
        ('base = "encoder"', 'base = ""', ["base = ''", "at least 1 character"]),
        ("share = 0.5", "share = 1.5", ["train[1].share = 1.5", "less than or equal to 1"]),
        ("share = 0.5", 'share = "0.5"', ["train[1].share = '0.5'", "valid number"]),
        ("share = 0.5", "weight = inf", ["train[1].weight = ", "finite number"]),
        ("size = 500", "size = 5", ["vocabulary.size = 5", "greater than or equal to 100"]),
        ("[vocabulary]", "epochs = 0\n[vocabulary]", ["epochs = 0", "greater than or equal to 1"]),
        ("[vocabulary]", "epochs = 2.5\n[vocabulary]", ["epochs = 2.5", "valid integer"]),
        ("[vocabulary]", "epochs = true\n[vocabulary]", ["epochs = True", "valid integer"]),
        ("[vocabulary]", "max_tokens = 513\n[vocabulary]", ["max_tokens = 513", "equal to 512"]),
        (
            "[vocabulary]",
            'word_embeddings = "frosen"\n[vocabulary]',
            ["word_embeddings = 'frosen'", "'frozen' or 'tuned'"],
        ),
        ("[[tune]]", "[[tune", ["not valid TOML"]),
    ],
)
def test_a_mistake_in_a_run_file_is_named_with_its_key_and_what_would_be_right(
    right, wrong, says, tmp_path
):
    assert right in RUN
    message = complaint(write(tmp_path, RUN.replace(right, wrong, 1)))
    for part in says:
        assert part in message


def test_a_run_file_without_training_data_is_told_how_to_name_some(tmp_path):
    head = RUN[: RUN.index("[[train]]")]
    assert "key 'train' is missing; for example [[train]] with a path" in complaint(
        write(tmp_path, head)
    )
    empty = complaint(write(tmp_path, head.replace("[vocabulary]", "train = []\n[vocabulary]")))
    assert "train = []" in empty


def test_a_long_wrong_value_is_not_shown_whole(tmp_path):
    text = RUN.replace('"shop-1"', f'"{"Ä" * 5000}"')
    assert len(complaint(write(tmp_path, text))) < 250


def test_a_run_file_in_another_encoding_is_told_so(tmp_path):
    file = tmp_path / "run.toml"
    file.write_bytes(b'name = "sh\xf6p"')
    assert "UTF-8" in complaint(file)


def test_a_run_file_that_does_not_exist_is_named(tmp_path):
    assert "cannot be read" in complaint(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("missing", "key"),
    [
        ("labels.toml", "taxonomy = 'labels.toml'"),
        ("mehr.jsonl", "train[1].path = 'mehr.jsonl'"),
        ("tune.jsonl", "tune[0].path = 'tune.jsonl'"),
        ("map.toml", "tune[0].mapping = 'map.toml'"),
        ("ids.txt", "tune[0].ids = 'ids.txt'"),
    ],
)
def test_a_file_that_does_not_exist_is_named_with_the_key_that_names_it(missing, key, tmp_path):
    file = write(tmp_path, RUN + 'mapping = "map.toml"\nids = "ids.txt"\n')
    for name in ("labels.toml", "train.jsonl", "mehr.jsonl", "tune.jsonl", "map.toml", "ids.txt"):
        (tmp_path / name).touch()
    run = load_run(file)
    check_files(run, file=file)
    (tmp_path / missing).unlink()
    with pytest.raises(ConfigError) as caught:
        check_files(run, file=file)
    assert str(caught.value).startswith(f"{file}: {key}: no such file")
    assert "\n" not in str(caught.value)
