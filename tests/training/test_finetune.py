import pytest
import torch

import training.finetune
from model.errors import ConfigError
from tests.training.conftest import Parts
from training.encoder import load_tokenizer
from training.features import Featurizer
from training.finetune import CHECKPOINT, Trainer, build_learner, choose_device

STEPS = 30  # 160 comments, 16 a step, three epochs


class Counting(Featurizer):
    """Counts the batches it makes; the power fails at one of them."""

    made = 0
    fails_at = 10_000

    def batch(self, features):
        self.made += 1
        if self.made == self.fails_at:
            raise KeyboardInterrupt
        return super().batch(features)


@pytest.fixture
def exact(parts, monkeypatch) -> Parts:
    """Return the tiny run with nothing left to chance, and a checkpoint at every step."""
    monkeypatch.setattr(training.finetune, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(training.finetune, "is_faster", lambda *_: False)
    run = parts.run.model_copy(update={"epochs": 3, "dropout": 0.0, "forget": 0.0})
    return Parts(run, parts.taxonomy, parts.data, parts.encoder)


def trainer(parts, folder, *, run=None, data=None, fails_at=10_000):
    run = run or parts.run
    tokenizer = load_tokenizer(parts.encoder)
    featurizer = Counting(tokenizer, parts.taxonomy, max_tokens=run.max_tokens)
    learner = build_learner(
        run, encoder=parts.encoder, tokenizer=tokenizer, taxonomy=parts.taxonomy
    )
    features = [featurizer.features(part) for part in data or parts.data.train]
    made = Trainer(run, learner=learner, featurizer=featurizer, train=features, folder=folder)
    featurizer.fails_at = fails_at
    return made


def steps_of(made):
    return made.featurizer.made - 1  # one batch is for the choice of precision


def weights(made):
    state = made.learner.state()
    return {f"{part}.{key}": value for part in state for key, value in state[part].items()}


def test_a_run_that_was_interrupted_inside_an_epoch_ends_as_if_it_never_was(exact, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = trainer(exact, tmp_path / "whole")
    whole.fit()
    assert (steps_of(whole), whole.step, whole.total_steps) == (STEPS, STEPS, STEPS)
    broken = trainer(exact, tmp_path / "broken", fails_at=16)
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    assert broken.step == 14
    again = trainer(exact, tmp_path / "broken")
    again.fit()
    assert (steps_of(again), again.step) == (STEPS - 14, STEPS)
    assert not again.learner.network.training
    expected = weights(whole)
    for name, found in weights(again).items():
        assert torch.equal(found, expected[name]), name


def test_a_finished_run_is_not_trained_again(exact, tmp_path):
    first = trainer(exact, tmp_path)
    first.fit()
    written = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    again = trainer(exact, tmp_path)
    again.fit()
    assert again.featurizer.made == 0
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == written
    expected = weights(first)
    assert all(torch.equal(found, expected[name]) for name, found in weights(again).items())


@pytest.fixture
def interrupted(exact, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trainer(exact, tmp_path, fails_at=5).fit()
    return tmp_path


def refusal(made):
    with pytest.raises(ConfigError) as caught:
        made.fit()
    message = str(caught.value)
    assert message.startswith(str(made.checkpoint))
    assert message.endswith("pass --restart to begin anew")
    assert "\n" not in message
    return message


def test_a_checkpoint_of_another_run_file_is_refused(exact, interrupted):
    other = exact.run.model_copy(update={"learning_rate": 1e-4})
    assert "is of another run file" in refusal(trainer(exact, interrupted, run=other))


def test_a_checkpoint_of_other_data_is_refused(exact, interrupted):
    fewer = [part[1:] for part in exact.data.train]
    assert "is of other data" in refusal(trainer(exact, interrupted, data=fewer))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_checkpoint_that_was_cut_short_is_refused(share, exact, interrupted):
    file = interrupted / CHECKPOINT
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    assert "was cut short" in refusal(trainer(exact, interrupted))


def test_a_half_written_checkpoint_beside_the_last_one_does_no_harm(exact, interrupted):
    (interrupted / CHECKPOINT).with_suffix(".new").write_bytes(b"PK\x03\x04")
    made = trainer(exact, interrupted)
    made.fit()
    assert made.step == STEPS
    assert not (interrupted / CHECKPOINT).with_suffix(".new").exists()


def test_training_moves_what_is_tuned_and_leaves_what_is_frozen(exact, tmp_path):
    frozen = exact.run.model_copy(update={"word_embeddings": "frozen", "epochs": 1})
    made = trainer(exact, tmp_path, run=frozen)
    before = {name: value.clone() for name, value in weights(made).items()}
    made.fit()
    moved = {name for name, value in weights(made).items() if not torch.equal(value, before[name])}
    assert not any("embeddings.weight" in name for name in moved)
    assert "network.encoder.encoder.layer.1.output.dense.weight" in moved
    assert {"rows.difference", "rows.own", "rows.shared", "network.seek.weight"} <= moved


def test_more_tokens_than_the_encoder_has_positions_for_are_refused(exact, tmp_path):
    long = exact.run.model_copy(update={"max_tokens": 512})
    with pytest.raises(ConfigError, match=r"max_tokens = 512: the encoder .* reads at most 128"):
        trainer(exact, tmp_path, run=long)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "tpu0"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(ConfigError, match=f"device = '{name}'"):
        choose_device(name)
