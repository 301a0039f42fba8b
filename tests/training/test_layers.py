import pytest
import torch
from transformers import AutoModel

from model.errors import ConfigError
from training.layers import even_layers, keep_layers


@pytest.mark.parametrize(
    ("total", "count", "kept"),
    [
        (12, 6, [0, 2, 4, 7, 9, 11]),
        (12, 12, list(range(12))),
        (12, 1, [11]),
        (2, 2, [0, 1]),
        (12, 3, [0, 6, 11]),
    ],
)
def test_layers_are_kept_evenly(total, count, kept):
    assert even_layers(total, count) == kept


def test_an_encoder_reads_on_with_fewer_layers(parts):
    encoder = AutoModel.from_pretrained(parts.encoder)
    last = encoder.encoder.layer[1].output.dense.weight
    keep_layers(encoder, 1)
    assert encoder.config.num_hidden_layers == 1
    assert encoder.encoder.layer[0].output.dense.weight is last
    ids = torch.tensor([[0, 5, 6, 2]])
    assert encoder(input_ids=ids).last_hidden_state.shape == (1, 4, 32)


def test_more_layers_than_there_are_cannot_be_kept(parts):
    encoder = AutoModel.from_pretrained(parts.encoder)
    with pytest.raises(ConfigError, match="layers = 3: the encoder has 2"):
        keep_layers(encoder, 3)


def test_what_keeps_its_layers_elsewhere_is_refused():
    with pytest.raises(ConfigError, match="not where they usually are"):
        keep_layers(torch.nn.Linear(2, 2), 1)
