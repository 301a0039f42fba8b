"""A tiny encoder, a taxonomy that is none of ours, and comments for it: a whole run in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from tokenizers.trainers import UnigramTrainer
from transformers import BertConfig, BertModel
from transformers.utils.logging import disable_progress_bar

TAXONOMY = """
version = 1
[areas]
room = { en = "Room", de = "Zimmer" }
food = { en = "Food", de = "Essen" }
[labels."room.clean"]
en = "Cleanliness"
de = "Sauberkeit"
means = { en = "how clean the room is", de = "wie sauber das Zimmer ist" }
[labels."room.noise"]
en = "Noise"
de = "Lärm"
means = { en = "noise at night", de = "Lärm in der Nacht" }
[labels."food.breakfast"]
en = "Breakfast"
de = "Frühstück"
means = { en = "the breakfast buffet", de = "das Frühstücksbuffet" }
[signals.pest]
en = "Vermin"
de = "Ungeziefer"
means = { en = "insects or mice were seen", de = "Insekten oder Mäuse wurden gesehen" }
"""

ROUTING = """
[teams]
house = { en = "Housekeeping", de = "Hausdame" }
desk = { en = "Reception", de = "Empfang" }
[actions]
apologise = { en = "Apologise", de = "Entschuldigen" }
[[rules]]
name = "vermin"
when = { signal = "pest" }
team = "house"
priority = "urgent"
due_hours = 1
actions = ["apologise"]
[default]
team = "desk"
priority = "low"
due_hours = 72
actions = ["apologise"]
"""

SAID = {
    "room.clean": {"positive": ["blitzsauber", "very clean"], "negative": ["dreckig", "filthy"]},
    "room.noise": {"positive": ["himmlisch ruhig", "so quiet"], "negative": ["laut", "noisy"]},
    "food.breakfast": {
        "positive": ["Frühstück lecker", "great breakfast"],
        "negative": ["Frühstück kalt", "cold breakfast"],
    },
}
PEST = {"de": "Kakerlaken im Bad", "en": "mice in the bathroom"}
GERMAN, ENGLISH = 0, 1


def comments(count: int) -> list[dict]:
    """Return labelled comments; each names one or two things, some report vermin."""
    labels = list(SAID)
    rows = []
    for n in range(count):
        german = n % 2 == 0
        chosen = [labels[n % 3]] + ([labels[(n // 3) % 3]] if n % 5 == 0 else [])
        parts, notes = [], []
        for place, label in enumerate(dict.fromkeys(chosen)):
            mood = "positive" if (n // 2 + place) % 2 else "negative"
            words = SAID[label][mood][GERMAN if german else ENGLISH]
            parts.append(words)
            notes.append({"label": label, "sentiment": mood, "evidence": words})
        pest = n % 7 == 0
        if pest:
            parts.append(PEST["de" if german else "en"])
        moods = {note["sentiment"] for note in notes}
        rows.append(
            {
                "id": f"t{n}",
                "text": f"{'Nr.' if german else 'no.'} {n}: " + ", ".join(parts),
                "language": "de" if german else "en",
                "sentiment": moods.pop() if len(moods) == 1 else "neutral",
                "labels": notes,
                "signals": ["pest"] if pest else [],
            }
        )
    return rows


def write_encoder(
    folder: Path, texts: list[str], *, width: int = 32, vocabulary: int = 400
) -> Path:
    """Write an untrained two-layer encoder with a unigram tokenizer learnt from `texts`."""
    folder.mkdir(parents=True)
    tokenizer = Tokenizer(Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = UnigramTrainer(
        vocab_size=vocabulary,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    disable_progress_bar()
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=128,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def write_project(folder: Path, *, epochs: int = 12, count: int = 240) -> Path:
    """Write everything that a run needs to `folder`; return its run file."""
    rows = comments(count)
    parts = {
        "train": rows[: count * 2 // 3],
        "tune": rows[count * 2 // 3 : count * 5 // 6],
        "test": rows[count * 5 // 6 :],
    }
    for name, part in parts.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part)
        (folder / f"{name}.jsonl").write_text(lines, "utf-8")
    (folder / "labels.toml").write_text(TAXONOMY, "utf-8")
    (folder / "routing.toml").write_text(ROUTING, "utf-8")
    write_encoder(folder / "encoder", [row["text"] for row in parts["train"]])
    run = folder / "run.toml"
    run.write_text(
        f"""
name = "hotel-1"
base = "encoder"
taxonomy = "labels.toml"
epochs = {epochs}
batch_comments = 16
max_tokens = 64
learning_rate = 2e-3
head_learning_rate = 5e-3
word_embeddings = "tuned"
threads = 1
[[train]]
path = "train.jsonl"
[[tune]]
path = "tune.jsonl"
[[test]]
path = "test.jsonl"
""",
        "utf-8",
    )
    return run
