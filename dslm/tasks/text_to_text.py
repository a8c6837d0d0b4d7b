"""Text to text: translation, summaries, dialogue, instructions, code.

Learned is the target alone, with its end. A model of two stacks reads the source with its encoder
and writes the target with its decoder (Sutskever et al. 2014); one stack reads both in a row, the
source behind its causal mask (Radford et al. 2018) or, as `denoising` trains it, whole (Raffel et
al. 2020, section 3.2.1). How records become ids is in `rendering`.

An example's tokens are those of source and target; its labels are pairs of numbers, where a text
that is learned begins and where it ends. For one causal stack all ids that are read are there; else
those of `dslm.tokenizers.pair_frame` are put around both when a batch is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from dslm.arrays import Float32Array, Int64Array
from dslm.errors import DataError, Problem
from dslm.metrics.bootstrap import Estimate
from dslm.metrics.overlap import exact_match
from dslm.metrics.written import written_scores
from dslm.model.config import NO_BOTTLENECK, NO_CLASSES, ModelConfig
from dslm.objectives.base import Context
from dslm.objectives.batch import IGNORE, Batch, as_batch, filled
from dslm.objectives.completion import Restore
from dslm.sampling.stream import Samples
from dslm.shards.labels import TASK
from dslm.shards.shard_set import ShardSet
from dslm.tasks.base import Task
from dslm.tasks.coder import Coder
from dslm.tasks.example import Example, Prediction, Record, UnusableError
from dslm.tasks.rendering import asked, renderer
from dslm.tasks.template import FIELD
from dslm.tasks.text_to_text_settings import TextToTextConfig
from dslm.tokenizers.chat_template import ChatTemplate
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.pair_frame import PairFrame
from dslm.tokenizers.tokenizer import Tokenizer

RENDERED = ("records", "prompt", "between", "prefix")
"""The settings by which examples are made and prompts are read."""

OF_PAIRS = ("source", "target", "prompt", "between")
"""Those that chats do without."""


class TextToText(Task):
    """A target of each source."""

    kind = "text_to_text"
    meaning = "a text written of another, such as its translation, its summary or an answer"
    config = TextToTextConfig
    measures = ("target_loss", "accuracy")
    writes = True
    settings: TextToTextConfig

    def __init__(self, settings: TextToTextConfig, context: Context) -> None:
        super().__init__(settings, context)
        self.one_text = not (context.two_stacks or settings.prefix)
        self.extra_ids = 0 if self.one_text else context.vocabulary.frame_ids
        self.longest = context.sequence * 2 if context.two_stacks else context.sequence + 1
        selected = ("selected",) if context.trimmed else ()
        self.extras = () if self.one_text else ("visibility",)
        self.extras += ("targets",) if context.two_stacks else selected

    @classmethod
    def model(cls, settings: TextToTextConfig) -> dict[str, Any]:
        """One stack or two; blocks of any kind, unless some tokens see those behind them."""
        plain = {**NO_BOTTLENECK, **NO_CLASSES, "transform": False, "pair_head": False}
        block = {"block": "attention", "encoder_layers": 0} if settings.prefix else {}
        return {"attention": "causal", **plain, **block}

    @classmethod
    def token_loss(cls, settings: TextToTextConfig) -> str:
        """The loss is in nats a token."""
        return "loss"

    @classmethod
    def check(cls, settings: TextToTextConfig, model: ModelConfig) -> list[Problem]:
        """A prompt with the source in it, and nothing between texts that are apart anyway."""
        problems, key = super().check(settings, model), f"objective.{cls.kind}"
        if settings.records == "chats":
            rule = "is for records of a source and a target; a chat is rendered by its template"
            problems += [
                Problem(f"{key}.{name}", value, rule, f"leave it out, or {key}.records=chats")
                for name in OF_PAIRS
                if (value := getattr(settings, name)) != getattr(cls.config(), name)
            ]
        elif "source" not in FIELD.findall(settings.prompt):
            fix = 'write {source} where it stands, as in "Translate to German: {source}"'
            problems.append(
                Problem(f"{key}.prompt", settings.prompt, "does not name the source", fix)
            )
        apart = settings.prefix or model.encoder_layers
        if settings.between is not None and settings.records == "pairs" and apart:
            rule = "is for one causal stack; here ids of their own stand between both"
            problems.append(Problem(f"{key}.between", settings.between, rule, "leave it out"))
        return problems

    def special(self) -> tuple[str, ...]:
        """The end of a document, which ends a target in one causal stack."""
        return ("eos",) if self.one_text else ()

    def check_shards(self, shards: ShardSet) -> list[Problem]:
        """Whether the set holds examples of this task, made for such a model."""
        if problems := super().check_shards(shards):
            return problems
        made, how = shards.manifest.settings[self.kind], shards.manifest.settings[TASK]
        context, own = self.context, self.settings
        wrong = [f"objective.{self.kind}.{k}" for k in RENDERED if made[k] != getattr(own, k)]
        wrong += ["model.encoder_layers"] if how["two_stacks"] != context.two_stacks else []
        wrong += ["model.sequence"] if how["sequence"] > context.sequence else []
        rule = f"its examples were made by other settings: {', '.join(wrong)}"
        fix = "make them again of the records, with launch/fine_tune.py"
        return [Problem(str(shards.folder), None, rule, fix)] if wrong else []

    @classmethod
    def classes(cls, settings: TextToTextConfig, records: Iterable[Record]) -> tuple[str, ...]:
        """None."""
        return ()

    @classmethod
    def examples(
        cls, settings: TextToTextConfig, record: Record, classes: Sequence[str], coder: Coder
    ) -> list[Example]:
        """Source and target; of a chat all answers, or an example for each."""
        made = renderer(settings, coder)
        try:
            return made.chat(record) if settings.records == "chats" else [made.pair(record)]
        except DataError as error:  # a character that the tokenizer does not know
            problem = error.problems[0]
            raise UnusableError(f"{problem.where} {problem.rule}") from None

    def batch(self, samples: Samples) -> Batch:
        """Inputs and labels of examples.

        Returns:
            Inputs: tokens [B, S] with what `extras` names.
            Labels: the tokens to be predicted where the decoder reads, [B, T], at the positions
                selected, [B, M], or at all, [B, S].
        """
        assert samples.labels is not None
        spans = [labels.astype(np.int64).reshape(-1, 2) for labels in samples.labels]
        if self.one_text:
            return self._in_one_text(samples, spans)
        frame, rows = self.context.vocabulary.frame, samples.tokens.astype(np.int64)
        sources, given, wanted = list[Int64Array](), list[Int64Array](), list[Int64Array]()
        for row, ((begin, end),) in zip(rows, spans, strict=True):
            sources.append(frame.source(row[:begin]))
            given.append(frame.given(row[begin:end]))
            wanted.append(frame.predicted(row[begin:end]))
        seen = [np.full(one.size, -1) for one in sources]
        if self.context.two_stacks:
            inputs = [self._filled(sources, self.padding), self._filled(seen, 0)]
            labels = self._filled(wanted, IGNORE)
            return as_batch([*inputs, self._filled(given, self.padding)], [labels])
        ignored = [np.full(one.size, IGNORE) for one in sources]
        causal = [np.ones(one.size, np.int64) for one in given]
        whole = self._filled(_behind(sources, given), self.padding)
        visibility = self._filled(_behind(seen, causal), 0)
        labels = self._filled(_behind(ignored, wanted), IGNORE)
        return self._selected([whole, visibility], labels)

    def _in_one_text(self, samples: Samples, spans: Sequence[Int64Array]) -> Batch:
        """Texts as they are, of which some tokens are learned."""
        rows, _ = self._trimmed(samples)
        labels = np.full(rows.shape, IGNORE, dtype=np.int64)
        for row, learned, found in zip(rows, labels, spans, strict=True):
            for begin, end in found.tolist():
                learned[begin:end] = row[begin:end]
        return self._selected([rows[:, :-1]], labels[:, 1:])

    def _selected(self, inputs: list[Int64Array], labels: Int64Array) -> Batch:
        """With the positions alone where something is learned, if rows may differ in width."""
        if "selected" not in self.extras:
            return as_batch(inputs, [labels])
        places = [np.flatnonzero(row != IGNORE) for row in labels]
        width = max(1, max(one.size for one in places))
        wanted = [row[one] for row, one in zip(labels, places, strict=True)]
        selected = filled(places, width, 0)
        return as_batch([*inputs, selected], [filled(wanted, width, IGNORE)])

    def _filled(self, rows: Sequence[Int64Array], value: int) -> Int64Array:
        """Rows as one array, as wide as the longest where this is allowed."""
        longest = max(row.size for row in rows)
        return filled(rows, longest if self.context.trimmed else self.context.sequence, value)

    @cached_property
    def _frame(self) -> PairFrame:
        """The ids around source and target; of one text that which ends a target."""
        vocabulary = self.context.vocabulary
        if not self.one_text:
            return vocabulary.frame
        end = vocabulary.special["eos"]
        if self.settings.records == "chats":
            try:
                own = ChatTemplate(load_tokenizer(vocabulary.folder)).end
            except ValueError as cause:
                raise DataError(Problem(str(vocabulary.folder), None, str(cause))) from None
            end = end if own is None else own
        return PairFrame(begin=end, end=end)

    def completion(self) -> Restore:
        """The prompt is a source or, of chats, what a user says."""
        frame, sequence = self._frame, self.context.sequence
        shared = 0 if self.context.two_stacks else 0 if self.one_text else frame.around_target
        return Restore(
            frame=frame,
            size=self.context.vocabulary.size + self.extra_ids,
            longest=sequence - shared - (not self.context.two_stacks),
            marks=(),
            in_place=False,
            two_stacks=self.context.two_stacks,
            one_text=self.one_text,
            source=self._asked,
        )

    def _asked(self, tokenizer: Tokenizer, prompt: str) -> list[int]:
        """What is read of a prompt."""
        settings = self.settings
        try:
            if settings.records == "chats":
                return self._read(ChatTemplate(tokenizer).asked([("user", prompt)]))
            return self._read(asked(settings, tokenizer, {settings.source: prompt}, self.one_text))
        except ValueError as cause:
            others = {*FIELD.findall(settings.prompt)} - {"source", settings.source}
            fix = "give another text"
            if others and settings.records == "pairs":
                fix = f"evaluate records with {', '.join(sorted(others))}, or train without it"
            problem = Problem("--prompt", None, f"is no record: {cause}", fix)
            raise DataError(problem) from None

    def _read(self, ids: Sequence[int]) -> list[int]:
        """A source as it is read."""
        if self.one_text:
            return [*ids]
        found: list[int] = self._frame.source(np.array(ids, dtype=np.int64)).tolist()
        return found

    def sources(self, ids: Sequence[int], labels: Sequence[int]) -> list[list[int]]:
        """What stands before each text that is learned."""
        return [self._read(ids[:begin]) for begin in labels[::2]]

    def groups(self, references: Sequence[Any]) -> list[list[int]]:
        """The chat of each answer, of which it may have several; the pair of a target."""
        return [[number] for number, some in enumerate(references) for _ in some]

    def of_records(
        self, found: Sequence[Prediction], references: Sequence[Any]
    ) -> Sequence[Prediction]:
        """Each text that was written, with the source and the targets of it."""
        golds = [gold for some in references for gold in some]
        return [Prediction(gold, one.found.strip()) for gold, one in zip(golds, found, strict=True)]

    def scores(
        self, found: Sequence[Prediction], classes: Sequence[str], seed: int, resamples: int = 1000
    ) -> dict[str, Estimate]:
        """The metrics of the kind of text."""
        settings, references = self.settings, [one.gold["targets"] for one in found]
        written = [one.found for one in found]
        how = settings.metric, settings.characters, seed, resamples
        return written_scores(written, references, *how)

    def is_right(self, found: Prediction) -> bool:
        """Whether a text is one of the targets."""
        return any(exact_match(found.found, one) for one in found.gold["targets"])

    def drawn_labels(self, draws: np.random.Generator, classes: int, tokens: int) -> Float32Array:
        """The second half as a target, less what stands around both."""
        frame = None if self.one_text else self.context.vocabulary.frame
        end = tokens - (frame.around_source + frame.around_target if frame else 0)
        return np.array([end // 2, end], np.float32)

    def named(self, numbers: Any, classes: Sequence[str]) -> Any:
        """A text, or the first of the targets."""
        return numbers if isinstance(numbers, str) else numbers["targets"][0]

    def written(self, one: Prediction, classes: Sequence[str]) -> dict[str, Any]:
        """The source before target and text."""
        return {"source": one.gold["source"], **super().written(one, classes)}


def _behind(first: Sequence[Int64Array], second: Sequence[Int64Array]) -> list[Int64Array]:
    """Rows that begin with those of one list and end with those of another."""
    return [np.concatenate(both) for both in zip(first, second, strict=True)]
