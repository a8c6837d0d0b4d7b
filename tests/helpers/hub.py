"""Small models and tokenizers of `transformers`, and what reads and changes their folders."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2ForTokenClassification,
    GPT2LMHeadModel,
    GPTBigCodeConfig,
    GPTBigCodeForCausalLM,
    GPTBigCodeForSequenceClassification,
    GPTBigCodeForTokenClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    OPTForSequenceClassification,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from dslm.model.config import ModelConfig
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.run.checkpoint import layer_file
from dslm.run.checkpoint_writer import Writer
from dslm.run.folder import RunFolder
from dslm.tokenizers.tokenizer import TokenizerKind

GPT2 = {"n_layer": 3, "n_head": 6, "n_embd": 48, "n_positions": 24, "vocab_size": 301}


LLAMA = {
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "hidden_size": 48,
    "intermediate_size": 56,
    "max_position_embeddings": 24,
    "vocab_size": 301,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
}


BERT = {
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "hidden_size": 48,
    "intermediate_size": 72,
    "max_position_embeddings": 24,
    "vocab_size": 301,
}


OPT = {
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "hidden_size": 48,
    "ffn_dim": 72,
    "max_position_embeddings": 24,
    "vocab_size": 301,
}


T5 = {
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 6,
    "d_model": 48,
    "d_kv": 8,
    "d_ff": 72,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 20,
    "vocab_size": 301,
    "n_positions": 24,
    "decoder_start_token_id": 0,
    "initializer_factor": 0.5,  # with 1 logits are tens
}


BART = {
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 6,
    "decoder_attention_heads": 6,
    "encoder_ffn_dim": 72,
    "decoder_ffn_dim": 72,
    "d_model": 48,
    "max_position_embeddings": 24,
    "vocab_size": 301,
}


EXPERTS = {**LLAMA, "moe_intermediate_size": 56, "head_dim": 12}


IDS = {"bos_token_id": 0, "eos_token_id": 0}


def untied_t5(shape: dict[str, Any], layer: str) -> Any:
    """A T5 with a head of its own, which `transformers` unties only where a file has two."""
    config = T5Config(**shape, feed_forward_proj=layer, tie_word_embeddings=False)
    model = T5ForConditionalGeneration(config)
    model.lm_head.weight = torch.nn.Parameter(torch.randn(301, 48) * 0.1)
    return model


THEIRS: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2, **IDS)),
    "gpt2 untied": lambda: GPT2LMHeadModel(
        GPT2Config(**GPT2, **IDS, tie_word_embeddings=False, layer_norm_epsilon=1e-3)
    ),
    "gpt2 with gelu and another inner width": lambda: GPT2LMHeadModel(
        GPT2Config(**GPT2, **IDS, activation_function="gelu", n_inner=72)
    ),
    "gpt2 with relu2": lambda: GPT2LMHeadModel(
        GPT2Config(**GPT2, **IDS, activation_function="relu2")
    ),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**LLAMA, **IDS)),
    "llama tied": lambda: LlamaForCausalLM(LlamaConfig(**LLAMA, **IDS, tie_word_embeddings=True)),
    "llama without groups": lambda: LlamaForCausalLM(
        LlamaConfig(**{**LLAMA, "num_key_value_heads": 6}, **IDS)
    ),
    "llama of one group, tied": lambda: LlamaForCausalLM(
        LlamaConfig(**{**LLAMA, "num_key_value_heads": 1}, **IDS, tie_word_embeddings=True)
    ),
    "llama with wide heads": lambda: LlamaForCausalLM(LlamaConfig(**LLAMA, **IDS, head_dim=12)),
    "llama with biases": lambda: LlamaForCausalLM(
        LlamaConfig(**LLAMA, **IDS, attention_bias=True, mlp_bias=True)
    ),
    "mixtral": lambda: MixtralForCausalLM(
        MixtralConfig(**LLAMA, **IDS, num_local_experts=4, head_dim=8)
    ),
    "mixtral with three of five, tied": lambda: MixtralForCausalLM(
        MixtralConfig(
            **LLAMA,
            **IDS,
            num_local_experts=5,
            num_experts_per_tok=3,
            tie_word_embeddings=True,
            head_dim=12,
            rms_norm_eps=1e-4,
        )
    ),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**LLAMA, **IDS, head_dim=12)),
    "qwen3_moe": lambda: Qwen3MoeForCausalLM(
        Qwen3MoeConfig(**EXPERTS, **IDS, num_experts=5, num_experts_per_tok=3)
    ),
    "qwen3_moe, normalized": lambda: Qwen3MoeForCausalLM(
        Qwen3MoeConfig(
            **EXPERTS,
            **IDS,
            num_experts=4,
            num_experts_per_tok=2,
            norm_topk_prob=True,
            tie_word_embeddings=True,
        )
    ),
    "qwen3 tied": lambda: Qwen3ForCausalLM(
        Qwen3Config(**LLAMA, **IDS, head_dim=8, tie_word_embeddings=True)
    ),
    "t5": lambda: T5ForConditionalGeneration(T5Config(**T5)),
    "t5 1.1 with wide heads": lambda: untied_t5({**T5, "d_kv": 12}, "gated-gelu"),
    "bart": lambda: BartForConditionalGeneration(BartConfig(**BART)),
    "bert": lambda: BertForPreTraining(BertConfig(**BERT)),
    "bert without pairs": lambda: BertForMaskedLM(BertConfig(**BERT)),
    "bert of one segment with another gelu": lambda: BertForPreTraining(
        BertConfig(**BERT, type_vocab_size=1, hidden_act="gelu_new", layer_norm_eps=1e-6)
    ),
}


COUSINS: dict[str, Callable[[], Any]] = {
    "mistral": lambda: MistralForCausalLM(
        MistralConfig(**LLAMA, **IDS, head_dim=12, sliding_window=None)
    ),
    "opt": lambda: OPTForCausalLM(
        OPTConfig(**OPT, **IDS, activation_function="gelu_new", pad_token_id=None, dropout=0.0)
    ),
    "opt untied": lambda: OPTForCausalLM(
        OPTConfig(
            **OPT,
            **IDS,
            activation_function="gelu",
            pad_token_id=None,
            dropout=0.0,
            tie_word_embeddings=False,
        )
    ),
    "gpt_bigcode": lambda: GPTBigCodeForCausalLM(
        GPTBigCodeConfig(**GPT2, **IDS, multi_query=False)
    ),
    "gpt_bigcode untied": lambda: GPTBigCodeForCausalLM(
        GPTBigCodeConfig(**GPT2, **IDS, multi_query=False, n_inner=72, tie_word_embeddings=False)
    ),
}
"""Models of the shape of GPT-2 or Llama, as which they are written again."""


def named(*classes: str) -> dict[str, Any]:
    """What a config of theirs says of classes."""
    numbers = {name: number for number, name in enumerate(classes)}
    return {"id2label": dict(enumerate(classes)), "label2id": numbers}


ONE = {**named("pos", "neg", "none"), "problem_type": "single_label_classification"}
SEVERAL = {**ONE, "problem_type": "multi_label_classification"}
AMOUNT = {**named("score"), "problem_type": "regression"}
TAGS = named("O", "B-x", "I-x")
PADDED = {**IDS, "pad_token_id": 300}
BIG = {**GPT2, **PADDED, "multi_query": False}


TASKS: dict[str, Callable[[], Any]] = {
    "bert of sequences": lambda: BertForSequenceClassification(BertConfig(**BERT, **ONE)),
    "bert of amounts": lambda: BertForSequenceClassification(
        BertConfig(**BERT, **AMOUNT, type_vocab_size=1)
    ),
    "bert of tokens": lambda: BertForTokenClassification(BertConfig(**BERT, **TAGS)),
    "bert of questions": lambda: BertForQuestionAnswering(BertConfig(**BERT, num_labels=2)),
    "gpt2 of sequences": lambda: GPT2ForSequenceClassification(
        GPT2Config(**GPT2, **PADDED, **SEVERAL)
    ),
    "gpt2 of tokens": lambda: GPT2ForTokenClassification(GPT2Config(**GPT2, **PADDED, **TAGS)),
    "llama of sequences": lambda: LlamaForSequenceClassification(
        LlamaConfig(**LLAMA, **PADDED, **ONE)
    ),
    "llama of tokens": lambda: LlamaForTokenClassification(LlamaConfig(**LLAMA, **PADDED, **TAGS)),
}
"""Models that score the classes of a task."""


TASK_COUSINS: dict[str, Callable[[], Any]] = {
    "opt of sequences": lambda: OPTForSequenceClassification(
        OPTConfig(**OPT, **PADDED, **ONE, activation_function="gelu", dropout=0.0)
    ),
    "gpt_bigcode of sequences": lambda: GPTBigCodeForSequenceClassification(
        GPTBigCodeConfig(**BIG, **AMOUNT)
    ),
    "gpt_bigcode of tokens": lambda: GPTBigCodeForTokenClassification(
        GPTBigCodeConfig(**BIG, **TAGS)
    ),
}
"""Those that are written as GPT-2's again."""


SYLLABLES = ["ri", "ver", "sto", "ne", "fal", "ls", "un", "der", "light", "o", "and", "the"]


SIGNS = ["(", ")", "=", "==", "x", "<b>", "[0]", "3.14", "!", "naïve"]


WORDS = [*SIGNS, *SYLLABLES, *(a + b for a in SYLLABLES for b in SYLLABLES)]


def text(seed: int, words: int) -> str:
    """Words and lines, with runs of spaces and of signs, which can be cut in many ways."""
    draw = random.Random(seed)
    ends = [" "] * 8 + ["\n", ".\n", ",  ", "\n    ", "\n            ", "\t", " ======== "]
    return "".join(draw.choice(WORDS) + draw.choice(ends) for _ in range(words))


def train_each_kind(folder: Path) -> dict[str, Path]:
    """The folder of a tokenizer of ours of each kind, made within a folder."""
    (folder / "text.txt").write_text(text(1, 4000))
    sizes: dict[TokenizerKind, int | None] = {"unigram": 400, "bpe": 400, "char": None}
    for kind, size in sizes.items():
        train_tokenizer([folder / "text.txt"], folder / kind, TokenizerConfig(kind, size))
    return {kind: folder / kind for kind in sizes}


def byte_level(ended: bool = False) -> tokenizers.Tokenizer:
    """A small tokenizer such as GPT-2's; texts may end with a special id."""
    model = tokenizers.Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"],
        show_progress=False,
    )
    model.train_from_iterator([text(0, 500)], trainer)
    if ended:
        end = "<|endoftext|>"
        model.post_processor = processors.TemplateProcessing(
            single=f"$A {end}", special_tokens=[(end, 0)]
        )
    return model


def word_pieces() -> tokenizers.Tokenizer:
    """A small tokenizer such as BERT's, with what is put around its texts."""
    model = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    model.normalizer = normalizers.BertNormalizer(lowercase=True)
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    model.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    model.train_from_iterator([text(0, 500)], trainer)
    model.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return model


def sentence_pieces(gaps: int = 8) -> tokenizers.Tokenizer:
    """A small tokenizer such as T5's, with ids for gaps."""
    model = tokenizers.Tokenizer(models.Unigram())
    model.pre_tokenizer = pre_tokenizers.Metaspace()
    model.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=280, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    model.train_from_iterator([text(0, 500)], trainer)
    model.add_special_tokens([f"<extra_id_{number}>" for number in reversed(range(gaps))])
    model.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return model


def byte_level_pairs() -> tokenizers.Tokenizer:
    """A small tokenizer such as BART's, with what is put around its texts."""
    model = tokenizers.Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        show_progress=False,
    )
    model.train_from_iterator([text(0, 500)], trainer)
    model.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return model


TOKENIZERS: dict[str, Callable[[], tokenizers.Tokenizer]] = {
    "bert": word_pieces,
    "t5": sentence_pieces,
    "bart": byte_level_pairs,
}
"""What makes a tokenizer by the type of a model; `byte_level` for all others."""


def pair_of(tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """Sources of different lengths, padded, and targets, as `transformers` wants them."""
    lengths = tokens.shape[1] - 5 * torch.arange(len(tokens))[:, None]
    real = (torch.arange(tokens.shape[1]) < lengths).long()
    return {
        "input_ids": tokens,
        "attention_mask": real,
        "decoder_input_ids": tokens.flip(1)[:, : tokens.shape[1] // 2],
    }


def asked(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """The scores of token ids that a model of theirs gives, whatever else it does."""
    if model.config.is_encoder_decoder:
        return model(**pair_of(tokens), use_cache=False).logits
    return scores_in(model(tokens))


def scores_in(outputs: Any) -> torch.Tensor:
    """The scores of tokens in what a model of theirs returns; of answers to questions both ends."""
    if "start_logits" in outputs:
        return torch.stack([outputs.start_logits, outputs.end_logits], -1)
    return outputs["prediction_logits" if "prediction_logits" in outputs else "logits"]


def asked_ours(model: torch.nn.Module, config: ModelConfig, tokens: torch.Tensor) -> torch.Tensor:
    """Those that a model of ours gives."""
    inputs: Any = tokens
    if config.encoder_layers:
        source, real, target = pair_of(tokens).values()
        inputs = source, -real, target
    scores = model(inputs)
    return scores[0] if isinstance(scores, tuple) else scores


def write_checkpoint(run: RunFolder, model: torch.nn.Module, *moments: str) -> None:
    """A checkpoint of a model, as training leaves it, with the named moments."""
    writer, files = Writer(run.checkpoints, 7), {}
    writer.begin()
    named = [(name.removeprefix("layers."), weight) for name, weight in model.named_parameters()]
    for index, layer in groupby(named, key=lambda item: int(item[0].split(".")[0])):
        weights = dict(layer)
        kept = {f"{name}#{moment}": weights[name] for name in weights for moment in moments}
        for has_moments, tensors in ((False, weights), (True, kept)):
            if tensors:
                file = layer_file(index, has_moments)
                files[file] = writer.write(file, tensors)
    writer.publish(files, {"step": 7, "samples": 0, "optimizer_steps": 7, "loss_scale": {}})


def settings_of(folder: Path) -> dict[str, Any]:
    """The content of a folder's config.json."""
    settings: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return settings


def change(folder: Path, **settings: Any) -> None:
    """Change settings in a folder's config.json."""
    content = json.dumps({**settings_of(folder), **settings})
    (folder / "config.json").write_text(content)
