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
from dslm.tasks.example import (
    Between,
    Example,
    Prediction,
    Record,
    UnusableError,
    field_of,
    following,
)
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
    """The field of the right one: its name, if they have names; else its number from 0, its text,
    or A for the first, B for the second and so on."""


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
        from torch.nn import functional as F

        learned, options = labels
        scores = outputs.float().transpose(1, 2)
        nats = F.cross_entropy(scores, options, ignore_index=IGNORE, reduction="none")
        right = (learned != IGNORE).any(1).tolist()
        return [*map(Prediction, right, (-nats.double().sum(1)).tolist())]

    def groups(self, references: Sequence[Any]) -> list[list[int]]:
        """The options of each record."""
        return following([reference["option"] == 0 for reference in references])

    def of_records(
        self, found: Sequence[Prediction], references: Sequence[Any]
    ) -> list[Prediction]:
        """Which option is right, and the log-probability of each one."""
        made = list[Prediction]()
        for group in self.groups(references):
            options = {"options": [references[n]["text"] for n in group]}
            right, logs = references[group[0]]["right"], [found[n].found for n in group]
            made.append(Prediction({"right": right, **options}, {"logs": logs, **options}))
        return made

    def scores(
        self, found: Sequence[Prediction], classes: Sequence[str], seed: int, resamples: int = 1000
    ) -> dict[str, Estimate]:
        """Accuracy of the likeliest option, and of the likeliest by byte; calibration (Guo 2017).

        The confidence is the share of the chosen option in the probability of all of them.
        """
        sums = [np.array(one.found["logs"]) for one in found]
        sizes = [np.array([len(text.encode()) for text in one.gold["options"]]) for one in found]
        gold = [one.gold["right"] for one in found]
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
        return bool(_likeliest(found.found) == found.gold["right"])

    def told(self, side: Any, classes: Sequence[str], between: Between) -> str:
        """The option, with its number from 1."""
        number = side["right"] if "right" in side else _likeliest(side)
        return f"{number + 1}: {side['options'][number]}"

    def named(self, numbers: Any, classes: Sequence[str]) -> Any:
        """The number of the right option, or of the likeliest with what all of them got."""
        if "right" in numbers:
            return numbers["right"]
        return {"option": _likeliest(numbers), "log_probabilities": numbers["logs"]}


def _likeliest(side: Any) -> int:
    found: int = side["logs"].index(max(side["logs"]))
    return found


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
    names: Any = None
    if isinstance(value, dict):
        value, names = value.get("text"), value.get("label")
    texts = isinstance(value, list) and all(_is_text(one) for one in value)
    if not texts or len(value) < 2:
        raise UnusableError(f"its {settings.options} are no list of two or more texts")
    options, answer = [*map(str, value)], field_of(record, settings.answer)
    if not _is_text(answer):
        raise UnusableError(f"its {settings.answer} is none of its options")
    if isinstance(names, list) and len(names) == len(options):
        among = [[*map(str, names)]]
    else:
        numbers = [*map(str, range(len(options)))]
        among = [numbers] if isinstance(answer, int) else [options, [*LETTERS], numbers]
    for known in among:
        if (right := str(answer)) in known[: len(options)]:
            return options, known.index(right)
    raise UnusableError(f"its {settings.answer} is none of its options")


def _is_text(value: Any) -> bool:
    """Whether a value can be read as a text that is not empty."""
    return isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != ""
