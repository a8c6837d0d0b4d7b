"""Multiple choice: which of several continuations of a text the model finds likeliest.

Nothing has to be learned for it: a model of the language answers as it is, or behind a few solved
records (Brown et al. 2020, section 2). Where it is trained, it learns to write the right option.

The path of a record: each option is an example, the text before it and then its own tokens; what
the model gives to these is summed up, and the sums of a record's options are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic.dataclasses import dataclass

from dslm.arrays import Float32Array
from dslm.config.parse import STRICT
from dslm.metrics.bootstrap import Estimate, estimate
from dslm.metrics.calibration import expected_calibration_error
from dslm.model.config import NO_CLASSES
from dslm.objectives.base import Context
from dslm.objectives.batch import IGNORE, Batch, as_batch, filled
from dslm.objectives.completion import Continue
from dslm.sampling.stream import Samples
from dslm.tasks.base import Task
from dslm.tasks.coder import Coder
from dslm.tasks.example import Between, Example, Prediction, Record, UnusableError, field_of
from dslm.tasks.template import fill

if TYPE_CHECKING:
    from torch import Tensor

BINS = 10
"""Of the calibration error."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What options are called where they have no names."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ChoiceConfig:
    """Multiple choice."""

    prompt: str = "{question}"
    """The text before an option; a field's name in braces stands for what it holds."""
    between: str = " "
    """What stands between the two; it is scored with the option."""
    separator: str = "\n\n"
    """What stands behind each solved record."""
    options: str = "options"
    """The field of the options, a list, or their fields' names with commas between them. The list
    may be one of texts beside one of their names: {"text": […], "label": […]}."""
    answer: str = "answer"
    """The field of the right one: its number from 0, its name, the letter A for the first, B for
    the second and so on, or its text."""


class Choice(Task):
    """The likeliest of several continuations."""

    kind = "choice"
    meaning = "which of several continuations of a text is right"
    config = ChoiceConfig
    takes_shots = True
    settings: ChoiceConfig

    def __init__(self, settings: ChoiceConfig, context: Context) -> None:
        super().__init__(settings, context)
        self.extras = ("selected",)

    @classmethod
    def model(cls, settings: ChoiceConfig) -> dict[str, Any]:
        """A causal model of tokens."""
        return {**super().model(settings), **NO_CLASSES, "attention": "causal"}

    @classmethod
    def classes(cls, settings: ChoiceConfig, records: Iterable[Record]) -> tuple[str, ...]:
        """None: each record has options of its own."""
        return ()

    @classmethod
    def examples(
        cls, settings: ChoiceConfig, record: Record, classes: Sequence[str], coder: Coder
    ) -> list[Example]:
        """An example for each option: its text behind the prompt and the solved records.

        What the model cannot read any more is cut off at the beginning, alike for all options.
        """
        options, right = _options(settings, record)
        before = "".join(_solved(settings, one) + settings.separator for one in coder.shots)
        before += fill(settings.prompt, record)
        prompt, parts = coder.ids(before), list[list[int]]()
        for option in options:
            whole = coder.ids(before + settings.between + option)
            parts.append(whole[len(prompt) :])
        if not all(parts):
            raise UnusableError("an option of it has no tokens of its own")
        room = coder.sequence - len(coder.begin) - max(map(len, parts))
        if room + len(coder.begin) < 1:
            raise UnusableError("an option of it is longer than the model reads")
        cut = len(prompt) > room
        begin = [*coder.begin, *(prompt[len(prompt) - room :] if cut else prompt)]
        if not begin:
            raise UnusableError("has no text before its options")
        return [
            Example(
                [*begin, *part],
                [float(len(begin)), float(number == right)],
                before + settings.between + option,
                cut,
                {"option": number, "right": right, "text": option},
            )
            for number, (option, part) in enumerate(zip(options, parts, strict=True))
        ]

    def batch(self, samples: Samples) -> Batch:
        """Rows with what is before the tokens of each option, and these tokens.

        Returns:
            Inputs: tokens [B, S], and the positions whose next tokens are an option's [B, M].
            Labels: these tokens where the option is right [B, M], and of all options [B, M].
        """
        assert samples.labels is not None
        rows, text = self._trimmed(samples)
        firsts = [int(labels[0]) for labels in samples.labels]
        spans = [np.arange(*pair) for pair in zip(firsts, text.sum(1).tolist(), strict=True)]
        width = max(map(len, spans)) if self.context.trimmed else self.context.sequence
        tokens = [row[span] for row, span in zip(rows, spans, strict=True)]
        right = np.array([bool(labels[1]) for labels in samples.labels])
        options = filled(tokens, width, IGNORE)
        learned = np.where(right[:, None], options, IGNORE)
        return as_batch([rows, filled([span - 1 for span in spans], width, 0)], [learned, options])

    def completion(self) -> Continue:
        """It continues texts."""
        return Continue()

    def drawn_labels(self, draws: np.random.Generator, classes: int, tokens: int) -> Float32Array:
        """Where the option begins, and that it is the right one."""
        return np.array([draws.integers(1, tokens), 1], np.float32)

    def loss(self, outputs: Any, labels: Any) -> Tensor:
        """Of the right options' tokens, in nats."""
        return super().loss(outputs, labels[0])

    def counts(self, labels: Any) -> Tensor:
        """The tokens of the right options."""
        return super().counts(labels[0])

    def predicted(self, outputs: Any, labels: Any) -> list[Prediction]:
        """Whether an option is right, and the log-probability of its text."""
        learned, options = labels
        logs = outputs.float().log_softmax(-1)
        of_tokens = logs.gather(-1, options.clamp(min=0)[..., None])[..., 0]
        sums = of_tokens.masked_fill(options == IGNORE, 0).double().sum(1).tolist()
        right = (learned != IGNORE).any(1).tolist()
        return [*map(Prediction, right, sums)]

    def of_records(
        self, found: Sequence[Prediction], references: Sequence[Any]
    ) -> list[Prediction]:
        """The number of the right option, and of each one its log-probability and its bytes."""
        made = list[Prediction]()
        for one, reference in zip(found, references, strict=True):
            if reference["option"] == 0:
                made.append(Prediction(reference["right"], []))
            made[-1].found.append((one.found, len(reference["text"].encode())))
        return made

    def scores(
        self, found: Sequence[Prediction], classes: Sequence[str], seed: int, resamples: int = 1000
    ) -> dict[str, Estimate]:
        """Accuracy of the likeliest option, and of the likeliest by byte; calibration (Guo 2017).

        The confidence is the share of the chosen option in the probability of all of them.
        """
        sums = [np.array([log for log, _ in one.found]) for one in found]
        sizes = [np.array([size for _, size in one.found]) for one in found]
        gold = [one.gold for one in found]
        chosen = [[int(one.argmax()) for one in sums]]
        chosen += [[int((a / b).argmax()) for a, b in zip(sums, sizes, strict=True)]]
        right = [np.equal(gold, one).astype(float) for one in chosen]
        confidence = [1 / np.exp(one - one.max()).sum() for one in sums]
        calibrated = np.stack([confidence, right[0]], 1)
        return {
            "accuracy": estimate(right[0], np.mean, seed, resamples),
            "accuracy_by_byte": estimate(right[1], np.mean, seed, resamples),
            "calibration_error": estimate(calibrated, _calibration_error, seed, resamples),
        }

    def metrics(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Both accuracies."""
        return "accuracy", "accuracy_by_byte"

    def is_right(self, found: Prediction) -> bool:
        """Whether the likeliest option is the right one."""
        return bool(self.named(found.found, ())["option"] == found.gold)

    def told(self, side: Any, classes: Sequence[str], between: Between) -> str:
        """The number of the option, from 1."""
        number = side if isinstance(side, int) else self.named(side, classes)["option"]
        return f"option {number + 1}"

    def named(self, numbers: Any, classes: Sequence[str]) -> Any:
        """The number of the right option, or of the likeliest with what all of them got."""
        if isinstance(numbers, int):
            return numbers
        logs = [log for log, _ in numbers]
        return {"option": logs.index(max(logs)), "log_probabilities": logs}


def _calibration_error(rows: Any) -> float:
    return expected_calibration_error(rows[:, 0], rows[:, 1], BINS)


def _solved(settings: ChoiceConfig, record: Record) -> str:
    """A record with its right answer."""
    options, right = _options(settings, record)
    return fill(settings.prompt, record) + settings.between + options[right]


def _options(settings: ChoiceConfig, record: Record) -> tuple[list[str], int]:
    """The texts of the options, and the number of the right one."""
    if "," in settings.options:
        value: Any = [field_of(record, key.strip()) for key in settings.options.split(",")]
    else:
        value = field_of(record, settings.options)
    names: Any = LETTERS
    if isinstance(value, dict):
        value, names = value.get("text"), value.get("label")
    if not isinstance(value, list) or len(value) < 2 or "" in value:
        raise UnusableError(f"its {settings.options} are no list of two or more texts")
    options, answer = [*map(str, value)], field_of(record, settings.answer)
    names = [*map(str, names)][: len(options)] if names is not None else []
    for among in (options, names, [*map(str, range(len(options)))]):
        if not isinstance(answer, int) and str(answer) in among:
            return options, among.index(str(answer))
    if isinstance(answer, int) and 0 <= answer < len(options):
        return options, int(answer)
    raise UnusableError(f"its {settings.answer} is none of its options")
