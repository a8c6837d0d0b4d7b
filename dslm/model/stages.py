"""The one definition of the model: a list of recipes, each for one layer.

`dslm.model.transformer` builds the list as a plain module, `dslm.parallel.pipeline` as DeepSpeed's
pipeline. A layer has the same index in both, hence the same names in a checkpoint, and the same
weights, because each draws them under (seed, index).

Beside the tensor that every layer changes, extras travel that some layers only use: the segment of
each token, what it sees, the positions to be scored, the ids before any were hidden, a key for what
is dropped of each row; and, made by layers, the numbers of relative positions and an encoder's
output. Each goes as far as the last layer that uses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from dslm.model.block import Block
from dslm.model.config import ModelConfig
from dslm.model.dropout import DROPOUT_KEYS, layer_keys
from dslm.model.embedding import Positions, TokenEmbedding
from dslm.model.heads import ClassHead
from dslm.model.initial import Numbers, initial_of, numbers, undrawn
from dslm.model.layers import Linear
from dslm.model.lora import NO_LORA, LoraConfig
from dslm.model.recipes import Recipe, recipes
from dslm.model.recurrent import RecurrentBlock
from dslm.model.tuning import ALL, Tuning
from dslm.model.visibility import Visibility, visible

Value: TypeAlias = "Tensor | tuple[Tensor | Visibility | None, ...]"
"""What goes from layer to layer: a tensor, followed by the extras. Outside of a pipeline stage or a
`Transformer` all of them are tensors."""


@dataclass(frozen=True)
class Stage:
    """How to build and call one layer.

    A stage maps one tensor to one tensor: token ids [B, S] → hidden [B, S, D] → … → scores
    [B, M, V]; a model of pairs ends with two, see `dslm.model.heads`.
    """

    module: type[nn.Module]
    config: ModelConfig
    seed: int
    index: int
    tied: str | None = None
    """Stages that share a name here share one module and its ``embedding.weight``."""
    call: Callable[..., Value] | None = None
    """How to apply the module where calling it is not meant."""
    uses: tuple[str, ...] = ()
    """Which of the extras the layer takes, by the names of its arguments."""
    gives: tuple[str, ...] = ()
    """Extras that the layer makes, behind its result; one of the same name ends here."""
    extras_in: tuple[str, ...] = ()
    """The extras that reach this layer."""
    extras_out: tuple[str, ...] = ()
    """Those that travel on."""
    frozen: bool = False
    """Whether its weights stay as they are."""
    adapters: LoraConfig = NO_LORA
    """Which of its linear maps are changed by adapters."""
    rate: float = 1.0
    """By what the learning rate of its weights is multiplied."""

    @property
    def sees_all(self) -> bool:
        """Whether the layer takes the visibility of every position, not of those selected alone."""
        read = set(self.uses) & set(self.extras_in)
        return "visibility" in read and "selected" not in read

    def build(self, drawn: bool = True) -> nn.Module:
        """Make the layer, its weights drawn under (seed, index) whatever was drawn before.

        Args:
            drawn: whether to draw them; else they hold zeros, to be filled by others.
        """
        with torch.random.fork_rng(devices=[]), undrawn():
            torch.manual_seed(layer_seed(self.seed, self.index))  # of modules that draw themselves
            module = self.module(self.config)
            module.requires_grad_(not self.frozen)
            crosses = self.config.encoder_layers > 0
            for name in self.adapters.maps(self.config, crosses):
                cast(Linear, module.get_submodule(name)).adapt(self.adapters)
        for name, weight in module.named_parameters() if drawn else ():
            if initial_of(weight) is not None and not weight.is_meta:
                made = self.initial(name, weight, 0, weight.numel())
                weight.data.copy_(made.view(weight.shape))
        return module

    def initial(self, name: str, weight: nn.Parameter, start: int, stop: int) -> Tensor:
        """A part of a weight as it begins; see `dslm.model.initial.numbers`.

        Args:
            name: of the weight in the layer.
            weight: the weight or its shape on the meta device.
            start: the first place wanted.
            stop: the place behind the last one.
        """
        how = initial_of(weight)
        if how is None:  # a module that fills its weights by itself
            built = dict(self.build(drawn=False).named_parameters())[name]
            return built.detach().flatten()[start:stop]
        return numbers(
            how, weight.shape, partial(layer_seed, self.seed, self.index, name), start, stop
        )

    def apply(self, module: nn.Module, value: Value, **more: Any) -> Value:
        """Call the layer.

        Args:
            module: what `build` made.
            value: the tensor to change and the tensors `extras_in` with it, or the first alone.
            more: other arguments of the layer.
        """
        extras: dict[str, Tensor | Visibility | None] = {}
        if self.extras_in and isinstance(value, tuple):
            extras = dict(zip(self.extras_in, value[1:], strict=True))
            value = cast(Tensor, value[0])
        read: dict[str, Any] = {
            name: extras[name] for name in self.uses if extras.get(name) is not None
        }
        if DROPOUT_KEYS in read:
            read[DROPOUT_KEYS] = layer_keys(read[DROPOUT_KEYS], layer_seed(self.seed, self.index))
        result: Any = (self.call or nn.Module.__call__)(module, value, **read, **more)
        if self.gives:
            result, *made = result
            extras |= dict(zip(self.gives, made, strict=True))
        # Where one is made, those that were not given are left out in their places.
        others = tuple(map(extras.get, self.extras_out)) if extras else ()
        return (result, *others) if others else result


def stages(
    config: ModelConfig, seed: int, extras: Sequence[str] = (), tuning: Tuning = ALL
) -> list[Stage]:
    """The layers of a model in order.

    Args:
        config: its shape, the vocabulary filled in.
        seed: decides all weights.
        extras: names of the tensors behind the token ids in its input.
        tuning: which weights learn, and how fast.
    """
    layers = recipes(config)
    made, extras_in, blocks = [], tuple(extras), 0
    for index, recipe in enumerate(layers):
        known = dict.fromkeys((*extras_in, *recipe.get("gives", ())))
        extras_out = tuple(name for name in known if _needed(name, layers[index + 1 :]))
        learns: dict[str, Any] = {"frozen": tuning.freezes_other(recipe["module"] is ClassHead)}
        if recipe["module"] in (Block, RecurrentBlock):
            learns = {"frozen": tuning.freezes_block(blocks), "adapters": tuning.lora}
            blocks += 1
        elif recipe["module"] in (TokenEmbedding, Positions):
            learns = {"frozen": tuning.freezes_embeddings}
        learns["rate"] = tuning.layer_rate_decay ** (config.blocks - blocks)
        passed = {"extras_in": extras_in, "extras_out": extras_out}
        of_this = {"config": config, **passed, **learns, **recipe}
        made.append(Stage(seed=seed, index=index, **of_this))
        extras_in = extras_out
    return made


def _needed(name: str, layers: Sequence[Recipe]) -> bool:
    """Whether any of the layers uses an extra, before one makes it anew."""
    for recipe in layers:
        if name in recipe.get("uses", ()):
            return True
        if name in recipe.get("gives", ()):
            return False
    return False


def with_mask(value: Value, layers: Sequence[Stage], training: bool) -> Value:
    """What enters some layers, with the mask of `visibility` made once for all of them.

    Args:
        value: the tensor to change and the extras of the first layer.
        layers: consecutive ones on one device.
        training: whether they drop activations.
    """
    extras, config = layers[0].extras_in, layers[0].config
    if "visibility" not in extras or not isinstance(value, tuple):
        return value
    place = 1 + extras.index("visibility")
    numbers: Any = value[place]
    if numbers is None:
        return value
    own = [stage for stage in layers if stage.module is Block and not stage.config.encoder_layers]
    needed = any(stage.sees_all for stage in own)
    made = visible(numbers, config.key_width, needed, training and config.dropout > 0)
    return (*value[:place], made, *value[place + 1 :])


def without_mask(value: Value) -> Value:
    """What leaves the layers, as tensors again, which can travel."""
    if not isinstance(value, tuple):
        return value
    return tuple(one.numbers if isinstance(one, Visibility) else one for one in value)


def layer_seed(seed: int, *index: int | str) -> int:
    """A seed for one index, unrelated to that of any other index or seed."""
    text = "/".join(map(str, (seed, *index))).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def drawn(layers: Sequence[Stage]) -> Numbers:
    """The weights that a model begins with, any part of any of them; names are ``INDEX.…``."""

    @lru_cache(maxsize=1)
    def shapes(index: int) -> dict[str, nn.Parameter]:
        with torch.device("meta"):
            return dict(layers[index].build(drawn=False).named_parameters())

    def read(name: str, start: int, stop: int) -> Tensor:
        index, _, own = name.partition(".")
        return layers[int(index)].initial(own, shapes(int(index))[own], start, stop)

    return read
