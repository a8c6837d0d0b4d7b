"""One file for llama.cpp, ``model.gguf``, read back before anybody sees it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dslm.errors import CheckpointError, DataError, Problem, Problems, TrainingError
from dslm.hub.formats import ReadBack, Written
from dslm.hub.gguf.blocks import BLOCK, blocks, floats
from dslm.hub.gguf.shapes import SHAPES, Shape, check_shape
from dslm.hub.gguf.vocabulary import Vocabulary, vocabulary
from dslm.hub.names import Weight
from dslm.hub.registry import family_of_model
from dslm.inference.trained import Trained
from dslm.model.quantize import rounding, stored_numbers
from dslm.objectives.completion import Restore

FILE = "model.gguf"
INPUTS = "rounded by llama.cpp in its own way, which the proof leaves out"
POSITIONS = "position_embd.weight"
"""What llama.cpp adds to embeddings, so that it is held in float32."""
NO_BEGIN = '{% set bos_token = "" %}'
"""Before a chat template that names the beginning of a text, for which llama.cpp has a token."""

FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7}
"""llama.h: llama_ftype, by the kind of most weights."""


class Gguf:
    """The format of llama.cpp.

    Args:
        plain: the kind of matrices that are not rounded, F16 or F32.
    """

    def __init__(self, plain: str) -> None:
        self.plain = plain

    def check(self, trained: Trained) -> list[Problem]:
        """What of a model llama.cpp cannot load."""
        found = Problems()
        found.problems += found.collect(check_shape, trained.config.model) or []
        found.collect(_vocabulary, trained)
        found.problems += _check_groups(trained)
        if not find_spec("gguf"):
            fix = "pip install 'dslm[gguf]'"
            found.problems.append(Problem("gguf", None, "the package is not installed", fix))
        return found.problems

    def write(self, trained: Trained, target: Path) -> Written:
        """Write a model that `check` has nothing against into an empty folder."""
        from gguf import GGMLQuantizationType, GGUFWriter

        config, shape = trained.config.model, _shape(trained)
        writer = GGUFWriter(target / FILE, shape.family.model_type)
        kinds, size = {self.plain}, 0
        for weight in shape.weights(config):
            rounds = _layer(trained, weight) is not None
            for name, kind, held in self._tensors(trained, weight):
                kinds.add(kind)
                size += held.nbytes if rounds else 0
                writer.add_tensor(name, held, raw_dtype=GGMLQuantizationType[kind])
        for key, value in shape.settings(config):
            add = writer.add_float32 if isinstance(value, float) else writer.add_uint32
            add(key, value)
        rarest = next(kind for kind in ("Q4_0", "Q8_0", self.plain) if kind in kinds)
        writer.add_file_type(FILE_TYPES[rarest])
        writer.add_quantization_version(2)
        _write_vocabulary(writer, trained)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        self._compare(trained, self.read(target).weights)
        command = "llama-completion -m {} -p 'Once upon'".format
        return Written(
            "llama.cpp", lambda path: command(shlex.quote(str(path / FILE))), size, inputs=INPUTS
        )

    def read(self, target: Path) -> ReadBack:
        """The model in a folder."""
        from gguf import GGUFReader

        reader = GGUFReader(target / FILE)
        settings = {key: one.contents() for key, one in reader.fields.items() if len(one.data) == 1}
        held = {tensor.name: tensor for tensor in reader.tensors}
        shape = SHAPES[settings["general.architecture"]]
        config = shape.config(settings, held)

        def part(name: str) -> Tensor:
            tensor = held[name]
            return shape.rotated(name, floats(tensor.tensor_type.name, tensor.data), config, True)

        weights = {_ours(weight): weight.join(part) for weight in shape.weights(config)}
        halved = {name for name, tensor in held.items() if tensor.tensor_type.name == "F16"}
        ours = {_ours(one) for one in shape.weights(config) if one.theirs[0] in halved}
        return ReadBack(config, weights, halved=ours)

    def _tensors(self, trained: Trained, weight: Weight) -> Iterator[tuple[str, str, Any]]:
        """The tensors that one of our weights becomes: names, kinds and numbers."""
        shape, config, layer = _shape(trained), trained.config.model, _layer(trained, weight)
        scheme = trained.quantization.selected
        if scheme is None or layer is None or weight.theirs[0] == POSITIONS:
            for name, part in weight.split(_seen(trained, weight)):
                yield name, *self._plain(name, shape.rotated(name, part, config))
            return
        pairs = (weight.split(numbers.cpu()) for numbers in stored_numbers(trained.model, layer))
        for (name, steps), (_, levels) in zip(*pairs, strict=True):
            turned = shape.rotated(name, steps, config), shape.rotated(name, levels, config)
            found = blocks(*turned, scheme.weights)
            if found is None:
                rule = "has steps too large or too small for the 16 bits that llama.cpp has for one"
                raise CheckpointError(Problem(name, None, rule, "use another --format"))
            yield name, *found

    def _plain(self, name: str, part: Tensor) -> tuple[str, Any]:
        if not self._halved(name, part):
            return "F32", part.numpy()
        half = part.half()
        if not half.isfinite().all():
            rule = "has numbers too large for float16"
            raise CheckpointError(Problem(name, None, rule, "use --format gguf-f32"))
        return "F16", half.numpy()

    def _halved(self, name: str, part: Tensor) -> bool:
        return self.plain == "F16" and part.ndim == 2 and name != POSITIONS

    def _compare(self, trained: Trained, written: Mapping[str, Tensor]) -> None:
        """Compare every number with what was to be written."""
        for weight in _shape(trained).weights(trained.config.model):
            wanted, (name, *_) = _seen(trained, weight), weight.theirs
            if _layer(trained, weight) is None and self._halved(name, wanted):
                wanted = wanted.half().float()
            if not torch.equal(written[_ours(weight)], wanted):
                raise TrainingError(f"{FILE}: {name} is not what was to be written")


def _check_groups(trained: Trained) -> list[Problem]:
    scheme, state = trained.quantization.selected, trained.model.state_dict()
    inputs = {state[f"{name}.weight"].shape[1] for name in rounding(trained.model)}
    if scheme is None or not any((scheme.group or number) % BLOCK for number in inputs):
        return []
    rule = f"llama.cpp has blocks of {BLOCK} weights that share a step"
    able = not any(number % BLOCK for number in inputs)
    fix = f"round to --group-size {BLOCK}" if able else ""
    return [Problem("quantization.group_size", scheme.group, rule, fix)]


def _shape(trained: Trained) -> Shape:
    return SHAPES[family_of_model(trained.config.model).model_type]


def _ours(weight: Weight) -> str:
    """The name of a weight in a `Transformer`."""
    return f"layers.{weight.ours}"


def _layer(trained: Trained, weight: Weight) -> str | None:
    """The layer that rounds a weight."""
    layer, _, kind = _ours(weight).rpartition(".")
    return layer if kind == "weight" and layer in rounding(trained.model) else None


def _seen(trained: Trained, weight: Weight) -> Tensor:
    """A weight as the model sees it, in float32."""
    found, layer = trained.model.get_parameter(_ours(weight)), _layer(trained, weight)
    if layer is not None:
        steps, levels = stored_numbers(trained.model, layer)
        return (steps * levels).view(found.shape).cpu()
    return found.detach().float().cpu()


def _vocabulary(trained: Trained) -> Vocabulary:
    """The tokenizer.

    Raises:
        DataError: llama.cpp has none that gives the same ids, or not before and behind a text.
    """
    tokenizer = trained.tokenizer
    found = vocabulary(tokenizer.tokenizer_json(), trained.config.model.size)
    begin, special = tokenizer.begin, _special(trained)
    if begin and (begin != (special.get("bos"),) or found.model in ("plamo2", "rwkv")):
        rule = f"{[*begin]} stand before a text, but llama.cpp puts only one token there"
        raise DataError(Problem("tokenizer", None, rule))
    if "eos" not in special and found.model != "rwkv":
        rule = "has no token for the end of a text, and llama.cpp would take another for it"
        raise DataError(Problem("tokenizer", None, rule, "train with a tokenizer that has one"))
    return found


def _special(trained: Trained) -> dict[str, int]:
    """The special ids by name; where nothing begins a text, the end of the one before does.

    What is written may end otherwise than a document, as an answer in a chat does.
    """
    special, how = trained.tokenizer.special, trained.objective.completion()
    begin = {"bos": special["eos"]} if "eos" in special else {}
    end = {"eos": how.frame.end} if isinstance(how, Restore) and how.one_text else {}
    return {**begin, **special, **end}


def _write_vocabulary(writer: Any, trained: Trained) -> None:
    found, tokenizer = _vocabulary(trained), trained.tokenizer
    writer.add_tokenizer_model(found.model)
    writer.add_tokenizer_pre(found.pattern)
    writer.add_token_list(found.tokens)
    writer.add_token_types(found.types)
    if found.scores:
        writer.add_token_scores(found.scores)
    if found.merges:
        writer.add_token_merges(found.merges)
    names = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown", "mask": "mask"}
    for name, number in _special(trained).items():
        if name in names:
            writer.add_uint32(f"tokenizer.ggml.{names[name]}_token_id", number)
    if (template := tokenizer.card.chat_template) is not None:
        unmarked = "bos_token" in template and "bos" not in tokenizer.special
        writer.add_chat_template(f"{NO_BEGIN}{template}" if unmarked else template)
    writer.add_add_bos_token(bool(tokenizer.begin))
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(found.space_first)
    if padding := list(range(tokenizer.vocabulary, trained.config.model.size)):
        writer.add_array("tokenizer.ggml.suppress_tokens", padding)


HALF, WHOLE = Gguf("F16"), Gguf("F32")
"""Matrices that are not rounded are of 16 bits, or of 32."""
