"""Which layers of an encoder a smaller one keeps."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from model.errors import ConfigError


def even_layers(total: int, count: int) -> list[int]:
    """Return which of `total` layers are kept when `count` are: evenly spread, first and last too.

    Six of twelve are 0, 2, 4, 7, 9 and 11. Raises `ValueError` where there are not so many.
    """
    if not 1 <= count <= total:
        raise ValueError(f"{count} of {total} layers")
    if count == 1:
        return [total - 1]
    return [int(i * (total - 1) / (count - 1) + 0.5) for i in range(count)]


def keep_layers(encoder: PreTrainedModel, count: int) -> None:
    """Take layers out of an encoder until `count` are left. Raises `ConfigError` where it cannot.

    Works for encoders that keep their layers in one `ModuleList` named `layer` or `layers`.
    """
    for module in encoder.modules():
        for name in ("layer", "layers"):
            layers = getattr(module, name, None)
            if isinstance(layers, nn.ModuleList):
                try:
                    kept = even_layers(len(layers), count)
                except ValueError:
                    raise ConfigError(
                        f"layers = {count}: the encoder has {len(layers)}; name as many or fewer"
                    ) from None
                setattr(module, name, nn.ModuleList(layers[i] for i in kept))
                encoder.config.num_hidden_layers = count
                return
    raise ConfigError(
        f"layers = {count}: the layers of this encoder are not where they usually are"
    )
