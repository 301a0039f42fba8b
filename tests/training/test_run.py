import hashlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from model.errors import ConfigError
from training.finetune import CHECKPOINT
from training.run import fit
from training.weights import WEIGHTS


@pytest.fixture
def begin(parts, tmp_path):
    """Return what trains for an epoch in steps too small to see, from the weights in a file."""
    still = {"epochs": 1, "learning_rate": 1e-12, "head_learning_rate": 1e-12, "weight_decay": 0.0}

    def begin(start):
        (tmp_path / CHECKPOINT).unlink(missing_ok=True)
        return fit(
            parts.run.model_copy(update=still),
            data=parts.data,
            encoder=parts.encoder,
            taxonomy=parts.taxonomy,
            work=tmp_path,
            start=start,
        )

    return begin


def metadata_of(file):
    with safe_open(file, framework="pt") as weights:
        return weights.metadata()


@pytest.fixture
def weights(learner, parts, tmp_path):
    """Return a copy of the weights that a run left, free to damage."""
    tensors = {
        f"{part}.{key}": value.clone().contiguous()
        for part, values in learner.state().items()
        for key, value in values.items()
    }
    vocabulary = hashlib.sha256((parts.encoder / "tokenizer.json").read_bytes()).hexdigest()
    metadata = {"vocabulary": vocabulary, "rows": " ".join(learner.ids)}
    save_file(tensors, tmp_path / "earlier.safetensors", metadata=metadata)
    return tmp_path / "earlier.safetensors"


def test_a_run_starts_from_the_weights_of_an_earlier_one(begin, weights, tmp_path):
    begin(weights)
    earlier, found = load_file(weights), load_file(tmp_path / WEIGHTS)
    assert metadata_of(tmp_path / WEIGHTS) == metadata_of(weights)
    assert set(found) == set(earlier)
    for name, value in found.items():
        assert torch.allclose(value, earlier[name], atol=1e-5), name
    begin_anew = begin(None).network.seek.weight
    assert not torch.allclose(begin_anew, earlier["network.seek.weight"], atol=1e-2)


def cut_short(file):
    file.write_bytes(file.read_bytes()[:5000])


def of_another_width(file):
    tensors = load_file(file)
    narrow = {**tensors, "network.norm.weight": tensors["network.norm.weight"][1:].contiguous()}
    save_file(narrow, file, metadata=metadata_of(file))


def test_weights_of_a_vocabulary_of_the_same_size_but_other_pieces_are_refused(begin, weights):
    save_file(load_file(weights), weights, metadata={"vocabulary": "another"})
    with pytest.raises(ConfigError, match="is of another vocabulary"):
        begin(weights)


@pytest.mark.parametrize("damage", [cut_short, of_another_width])
def test_weights_that_do_not_fit_are_refused_in_one_line(damage, begin, weights):
    damage(weights)
    with pytest.raises(ConfigError, match=r"does not fit .* same base and vocabulary") as e:
        begin(weights)
    assert "\n" not in str(e.value)


def test_a_label_that_the_earlier_run_did_not_have_begins_with_nothing_of_its_own(
    begin, weights, learner, tmp_path
):
    tensors = load_file(weights)
    gone = learner.ids.index("room.noise")
    kept = [n for n in range(len(learner.ids)) if n != gone]
    parts = ("rows.difference", "rows.own", "rows.own_bias", "rows.described", "rows.kind")
    fewer = {**tensors, **{key: tensors[key][kept].contiguous() for key in parts}}
    ids = [row for row in learner.ids if row != "room.noise"]
    metadata = {**metadata_of(weights), "rows": " ".join(ids)}
    save_file(fewer, weights, metadata=metadata)
    begin(weights)
    found = load_file(tmp_path / WEIGHTS)
    for key in parts[:3]:
        assert found[key][gone].abs().max() < 1e-6
        for n in kept:
            assert torch.allclose(found[key][n], tensors[key][n], atol=1e-5)
