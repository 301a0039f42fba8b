"""Fine-tune encoder and rows on labelled comments: one loop, checkpoints, and a way to go on.

The optimiser is AdamW with a linear warm-up and a linear fall to zero. A checkpoint holds all that
the loop needs to go on as if it had never been interrupted, but for the draw of dropout.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm
from transformers import AutoConfig, AutoModel

from model.artifact import COMMENT
from model.errors import ConfigError
from model.network import Network, Rows
from model.taxonomy import Taxonomy
from training.config import RunConfig
from training.features import Batch, Feature, Featurizer, plan
from training.layers import keep_layers
from training.loss import total_loss

log = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"
CHECKPOINT_SECONDS = 240  # at most this much work is lost by an interruption
DESCRIBE_STEPS = 50  # the encodings of the labels' texts follow the encoder this often
LOG_STEPS = 25
GRADIENT_NORM = 1.0
TRIAL_GAIN = 1.15  # bfloat16 must be faster by this factor to be worth its rounding
COMMENT_MEANS = "how the customer feels on the whole. wie der Kunde insgesamt empfindet."
_EMBEDDINGS = ("word_embeddings", "position_embeddings", "token_type_embeddings")


@dataclass(frozen=True, slots=True)
class Learner:
    """What is being trained: the network and its rows, on one device."""

    network: Network
    rows: Rows
    device: torch.device
    ids: list[str]  # of the rows, as in the artefact
    texts: list[list[int]]  # token ids of each row's text

    def describe(self) -> None:
        """Encode the rows' texts with the encoder as it is now."""
        training = self.network.training
        self.network.eval()
        with torch.no_grad():
            found = [self._pooled(ids) for ids in self.texts]
        self.rows.describe(torch.stack(found))
        self.network.train(training)

    def _pooled(self, ids: list[int]) -> Tensor:
        tokens = torch.tensor([ids], device=self.device)
        mask = torch.ones_like(tokens)
        return self.network.pooled(self.network.states(tokens, mask), mask)[0]

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return the weights of both parts."""
        return {"network": self.network.state_dict(), "rows": self.rows.state_dict()}

    def restore(self, state: dict[str, dict[str, Tensor]]) -> None:
        """Take over the weights of both parts."""
        self.network.load_state_dict(state["network"])
        self.rows.load_state_dict(state["rows"])


def row_texts(taxonomy: Taxonomy) -> tuple[list[str], list[str]]:
    """Return kind and text of each row: labels, signals, then the comment as a whole."""
    terms = [*taxonomy.labels.values(), *taxonomy.signals.values()]
    texts = [term.described for term in terms]
    kinds = ["label"] * len(taxonomy.labels) + ["signal"] * len(taxonomy.signals)
    return [*kinds, "comment"], [*texts, COMMENT_MEANS]


def row_ids(taxonomy: Taxonomy) -> list[str]:
    """Return the ids of the rows, in the order of `row_texts`."""
    return [*taxonomy.labels, *(f"signal:{signal}" for signal in taxonomy.signals), COMMENT]


def choose_device(name: str) -> torch.device:
    """Return the device a run asks for; `auto` takes an accelerator where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise ConfigError(f"device = {name!r} is not to be had; use 'auto' or 'cpu'") from None
    return device


def build_learner(
    run: RunConfig, *, encoder: Path, tokenizer: Tokenizer, taxonomy: Taxonomy
) -> Learner:
    """Return a fresh learner: pretrained encoder, untrained heads, rows described by texts.

    Raises `ConfigError` where the encoder or the device cannot do what the run asks for.
    """
    torch.manual_seed(run.seed)
    if run.threads:
        torch.set_num_threads(run.threads)
    config = AutoConfig.from_pretrained(encoder)
    _check_length(run, config)
    for key in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if hasattr(config, key):
            setattr(config, key, run.dropout if key.startswith("hidden") else 0.0)
    # Plain attention: on a CPU its backward pass is half again as fast as the fused kernel's.
    options = {"attn_implementation": "eager", "dtype": torch.float32}
    if config.model_type in {"bert", "xlm-roberta", "roberta"}:
        options["add_pooling_layer"] = False
    loaded = AutoModel.from_pretrained(encoder, config=config, **options)
    if run.layers is not None:
        keep_layers(loaded, run.layers)
    if run.word_embeddings == "frozen":
        for name, parameter in loaded.named_parameters():
            if any(part in name for part in _EMBEDDINGS):
                parameter.requires_grad = False
    width = config.hidden_size
    kinds, texts = row_texts(taxonomy)
    device = choose_device(run.device)
    learner = Learner(
        Network(loaded, width=width, dropout=run.dropout, attention=run.attention).to(device),
        Rows(kinds, width=width, forget=run.forget).to(device),
        device,
        row_ids(taxonomy),
        [encoding.ids[: run.max_tokens] for encoding in tokenizer.encode_batch(texts)],
    )
    learner.describe()
    return learner


def _check_length(run: RunConfig, config: Any) -> None:
    positions = getattr(config, "max_position_embeddings", run.max_tokens)
    # RoBERTa and its kin count positions from the padding piece on.
    room = positions - (config.pad_token_id + 1 if "roberta" in config.model_type else 0)
    if run.max_tokens > room:
        raise ConfigError(
            f"max_tokens = {run.max_tokens}: the encoder {run.base} reads at most {room}"
        )


def parameter_groups(run: RunConfig, learner: Learner) -> list[dict[str, Any]]:
    """Return the optimiser's groups: heads faster, lower layers slower by `layer_decay`."""
    groups = []
    layers = getattr(learner.network.encoder.config, "num_hidden_layers", 0)
    for name, parameter in learner.network.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = run.head_learning_rate
        if name.startswith("encoder."):
            parts = name.split(".")
            depth = next((int(part) for part in parts if part.isdigit()), -1)
            rate = run.learning_rate * run.layer_decay ** (layers - 1 - depth)
        decay = run.weight_decay if parameter.ndim > 1 else 0.0
        groups.append({"params": [parameter], "lr": rate, "weight_decay": decay})
    for parameter in learner.rows.parameters():
        decay = run.weight_decay if parameter.ndim > 1 else 0.0
        groups.append({"params": [parameter], "lr": run.head_learning_rate, "weight_decay": decay})
    return groups


def is_faster(first: Callable[[], object], second: Callable[[], object]) -> bool:
    """Tell whether the first is clearly faster than the second: alternated, the best of three."""
    seconds: dict[Callable[[], object], list[float]] = {first: [], second: []}
    for _ in range(3):
        for work, taken in seconds.items():
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return min(seconds[first]) * TRIAL_GAIN < min(seconds[second])


class Trainer:
    """Runs the loop of one run; `folder` keeps the checkpoint.

    `shares` says how much of each part of `train` an epoch draws; those of the run's sources if not
    given. `slipped` holds the comments of `train`, in the same order, with slips of the pen; a
    share of `run.slips` of each epoch is read from there.
    """

    def __init__(
        self,
        run: RunConfig,
        *,
        learner: Learner,
        featurizer: Featurizer,
        train: Sequence[list[Feature]],
        folder: Path,
        shares: Sequence[float] = (),
        slipped: Sequence[list[Feature]] = (),
    ) -> None:
        self.run = run
        self.learner = learner
        self.featurizer = featurizer
        self.train = train
        self.shares = shares or [source.share for source in run.train]
        self.slipped = slipped if run.slips else ()
        self.checkpoint = folder / CHECKPOINT
        self.data = hashlib.sha256(repr((learner.texts, train)).encode()).hexdigest()
        self.steps_an_epoch = len(self._plan(0))
        self.total_steps = self.steps_an_epoch * run.epochs
        self.optimizer = torch.optim.AdamW(parameter_groups(run, learner))
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.step = 0
        self.dtype: torch.dtype | None = None

    def _rate(self, step: int) -> float:
        warmup = max(1, int(self.total_steps * self.run.warmup))
        if step < warmup:
            return (step + 1) / warmup
        return max(0.0, (self.total_steps - step) / max(1, self.total_steps - warmup))

    def _plan(self, epoch: int) -> list[list[Feature]]:
        """Return the batches of an epoch: the same for the same seed, to go on inside it."""
        rng = np.random.default_rng([self.run.seed, epoch])
        drawn: list[Feature] = []
        for number, (share, features) in enumerate(zip(self.shares, self.train, strict=True)):
            count = max(1, round(len(features) * share)) if features else 0
            chosen = rng.permutation(len(features))[:count]
            slip = rng.random(count) < (self.run.slips if self.slipped else 0)
            drawn += [
                self.slipped[number][i] if hasty else features[i]
                for i, hasty in zip(chosen, slip, strict=True)
            ]
        lengths = [len(feature.ids) for feature in drawn]
        batches = plan(lengths, comments=self.run.batch_comments, rng=rng)
        return [[drawn[i] for i in batch] for batch in batches]

    def _choose_dtype(self) -> torch.dtype | None:
        """Return bfloat16 where it is faster: on accelerators, and where a trial says so."""
        if self.learner.device.type == "cuda":
            return torch.bfloat16
        batch = self.featurizer.batch(max(self._plan(0)[:5], key=lambda b: len(b[0].ids)))

        def trial(dtype: torch.dtype | None) -> None:
            self._loss(batch, dtype=dtype).backward()  # type: ignore[no-untyped-call]
            self.optimizer.zero_grad(set_to_none=True)

        faster = is_faster(lambda: trial(torch.bfloat16), lambda: trial(None))
        log.info("matrix products in %s", "bfloat16" if faster else "float32")
        return torch.bfloat16 if faster else None

    def _loss(self, batch: Batch, *, dtype: torch.dtype | None) -> Tensor:
        with torch.autocast(self.learner.device.type, dtype=dtype, enabled=dtype is not None):
            states = self.learner.network.states(batch.input_ids, batch.attention_mask)
            scores = self.learner.network.read(states, batch.attention_mask, *self.learner.rows())
        return total_loss(
            scores,
            batch,
            present_weight=self.run.present_weight,
            evidence_weight=self.run.evidence_weight,
            lesson_weight=self.run.teacher.weight if self.run.teacher else 0.0,
        )

    def fit(self) -> None:
        """Train until the last epoch; goes on from a checkpoint if there is one.

        Raises `ConfigError` for a checkpoint that is damaged, or of another run file or other data.
        """
        self._resume()
        if self.step < self.total_steps:
            self._train()
        self.learner.network.eval()
        self.learner.rows.eval()
        self.learner.describe()

    def _train(self) -> None:
        self.dtype = self._choose_dtype()
        self.learner.network.train()
        self.learner.rows.train()
        saved = time.monotonic()
        with tqdm(total=self.total_steps, initial=self.step, unit="step", disable=None) as bar:
            while self.step < self.total_steps:
                epoch, done = divmod(self.step, self.steps_an_epoch)
                losses: list[float] = []
                for features in self._plan(epoch)[done:]:
                    losses.append(self._advance(self.featurizer.batch(features)))
                    bar.update()
                    if self.step % LOG_STEPS == 0:
                        bar.set_postfix(loss=f"{np.mean(losses[-LOG_STEPS:]):.3f}")
                        log.info(
                            "step %d of %d, loss %.3f",
                            self.step,
                            self.total_steps,
                            np.mean(losses[-LOG_STEPS:]),
                        )
                    if time.monotonic() - saved > CHECKPOINT_SECONDS:
                        self._save()
                        saved = time.monotonic()
                log.info("epoch %d of %d, loss %.3f", epoch + 1, self.run.epochs, np.mean(losses))
        self._save()

    def _advance(self, batch: Batch) -> float:
        if self.step and self.step % DESCRIBE_STEPS == 0:
            self.learner.describe()
        loss = self._loss(batch.to(self.learner.device), dtype=self.dtype)
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.scheduler.step()
        self.step += 1
        return float(loss.detach())

    def _save(self) -> None:
        state = {
            "run": self.run.model_dump_json(),
            "data": self.data,
            "step": self.step,
            "learner": self.learner.state(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }
        scratch = self.checkpoint.with_suffix(".new")
        torch.save(state, scratch)
        scratch.replace(self.checkpoint)
        log.info("checkpoint at step %d", self.step)

    def _resume(self) -> None:
        if not self.checkpoint.is_file():
            return
        state = self._load()
        if state["run"] != self.run.model_dump_json():
            raise ConfigError(
                f"{self.checkpoint}: is of another run file; give this run another name, "
                "or pass --restart to begin anew"
            )
        if state.get("data") != self.data:
            raise ConfigError(
                f"{self.checkpoint}: is of other data or another taxonomy; give this run another "
                "name, or pass --restart to begin anew"
            )
        self.learner.restore(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.step = state["step"]
        log.info("going on from step %d", self.step)

    def _load(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = torch.load(
                self.checkpoint, map_location=self.learner.device, weights_only=True
            )
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):
            raise ConfigError(
                f"{self.checkpoint}: cannot be read, it was cut short; pass --restart to begin anew"
            ) from None
        return state
