import socket
import struct
import time

import huggingface_hub.constants
import numpy as np
import pytest
import torch

import training.encoder
from model.errors import ConfigError
from training.encoder import find_encoder, load_tokenizer, unpack

WIDTH, VOCABULARY = 48, 3  # 144 weights: four blocks of 32 and a half


def packed(halves, scales):
    """Return four-bit blocks; `halves` are whole numbers 0..15, 32 to a block."""
    blocks = b""
    for block, scale in zip(halves.reshape(-1, 32), scales, strict=True):
        low, high = block[:16], block[16:]
        blocks += struct.pack("<e", scale) + bytes((low | high << 4).tolist())
    return blocks


def weights_file(tensors):
    """Return an E5S1 file; tensors are name -> (packed?, number of weights, bytes)."""
    text = b"<s>hallo"
    head = b"E5S1" + struct.pack("<i", 1)
    head += struct.pack("<7i", WIDTH, 1, 2, 64, VOCABULARY, 8, 1) + struct.pack("<fi", 1e-12, 32)
    head += struct.pack("<5i", 2, 0, 1, 2, 3) + struct.pack("<Q", len(text))
    head += struct.pack("<3i", 0, 3, 8) + struct.pack("<2f", 0, -1.5) + text
    head += struct.pack("<2i", 0, 4) + b"map!" + struct.pack("<i", len(tensors))
    start = len(head) + sum(2 + len(name) + 21 for name in tensors)
    body = b""
    for name, (kind, count, data) in tensors.items():
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, count, start + len(body), len(data))
        body += data
    return head + body


def test_a_packed_weights_file_is_decoded_to_the_weights_of_the_encoder():
    rng = np.random.default_rng(1)
    halves = rng.integers(0, 16, size=160).astype(np.uint8)
    scales = np.array([0.5, 1.0, 0.25, 2.0, 0.125])
    norm = rng.normal(size=WIDTH).astype("<f4")
    data = weights_file(
        {
            "emb.word": (1, WIDTH * VOCABULARY, packed(halves, scales)),
            "emb.ln.w": (0, WIDTH, norm.tobytes()),
            "l0.fi.b": (0, 64, np.arange(64, dtype="<f4").tobytes()),
        }
    )
    config, tensors = unpack(data)
    assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (WIDTH, 1, 3)
    assert (config.intermediate_size, config.max_position_embeddings) == (64, 8)
    assert config.layer_norm_eps == 1e-12
    expected = ((halves.astype(np.float32) - 8).reshape(5, 32) * scales[:, None]).reshape(-1)
    words = tensors["embeddings.word_embeddings.weight"]
    assert words.dtype == torch.float32
    assert np.array_equal(words.numpy(), expected[:144].reshape(VOCABULARY, WIDTH))
    assert np.array_equal(tensors["embeddings.LayerNorm.weight"].numpy(), norm)
    inner = tensors["encoder.layer.0.intermediate.dense.bias"]
    assert inner.tolist() == list(range(64))
    assert len(tensors) == 3


def test_a_weights_file_of_another_form_is_refused():
    with pytest.raises(ConfigError, match="no E5S1 at its start"):
        unpack(b"GGUF" + bytes(100))


@pytest.fixture
def silent_hub(monkeypatch):
    """A hub that takes the connection and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(training.encoder, "HUB_TIMEOUT_SECONDS", 0.3)
        yield


@pytest.mark.parametrize("base", ["nobody/no-such-encoder", "encodr", "../nirgends", "a b"])
@pytest.mark.usefixtures("silent_hub")
def test_an_encoder_that_nobody_has_is_one_line_at_once_though_the_hub_is_silent(base, tmp_path):
    start = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        find_encoder(base, cache=tmp_path)
    assert time.monotonic() - start < 10  # seconds, where one request takes .3
    assert str(caught.value).startswith(f"base = {base!r}: no such folder, and no hub")
    assert "intfloat/multilingual-e5-small" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "encoders").iterdir()) == []


def test_an_encoder_in_a_folder_is_taken_from_there(parts, tmp_path):
    assert find_encoder(str(parts.encoder), cache=tmp_path) == parts.encoder
    assert list(tmp_path.iterdir()) == []


def test_a_cached_encoder_is_taken_without_asking_a_hub(parts, tmp_path):
    cached = tmp_path / "encoders" / "wer--weiss"
    cached.parent.mkdir()
    cached.symlink_to(parts.encoder)
    assert find_encoder("wer/weiss", cache=tmp_path) == cached


def test_a_tokenizer_neither_pads_nor_cuts(parts):
    tokenizer = load_tokenizer(parts.encoder)
    short, long = tokenizer.encode_batch(["laut", "so laut " * 400])
    assert len(short.ids) < 10
    assert len(long.ids) > 700
