"""Fine-tuning as users of transformers write it: a Trainer over exported weights, as a process.

``trainer_script.py SPECIFICATION`` reads what to do from a JSON file and leaves beside it what it
predicted of the test records and how long its steps took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

Specification = dict[str, Any]
FILES = "predicted.json", "measured.json"
UNSCORED = -100


class Clock:
    """When steps ended, by the clock and in processor time."""

    def __init__(self) -> None:
        self.marks: dict[int, tuple[float, float]] = {}

    def mark(self, step: int) -> None:
        """Note the end of a step."""
        self.marks[step] = time.perf_counter(), time.process_time()

    def step(self, first: int) -> dict[str, float]:
        """Seconds of a step from one on, with all that the Trainer does between them."""
        last = max(self.marks)
        ends = zip(self.marks[first], self.marks[last], strict=True)
        clock, processor = ((end - begin) / (last - first) for begin, end in ends)
        return {"clock": clock, "processor": processor}


def main(argv: list[str]) -> None:
    """Train, predict, write."""
    path = Path(argv[0])
    what: Specification = json.loads(path.read_text(encoding="utf-8"))
    train, test = (_records(what[name]) for name in ("train", "test"))
    labels = "tags" if what["task"] == "tagging" else "label"
    names = sorted({one for record in train for one in _listed(record[labels])})
    clock = Clock()
    trainer, tokenizer = _trainer(what, names, path.parent, clock)
    examples = [_example(record, tokenizer, names, what["sequence"]) for record in train]
    trainer.train_dataset = examples
    trainer.train()
    trainer.args.train_sampling_strategy = "random"  # else predictions come by length as well
    tested = [_example(record, tokenizer, names, what["sequence"]) for record in test]
    scores = trainer.predict(tested).predictions.argmax(-1)
    found = [
        [names[n] for n, label in zip(row, one["labels"], strict=False) if label != UNSCORED]
        if what["task"] == "tagging"
        else names[row]
        for row, one in zip(scores.tolist(), tested, strict=True)
    ]
    tokens = sum(len(one["input_ids"]) for one in examples)
    measured = {**clock.step(what["log"]), "tokens": tokens}
    for file, value in zip(FILES, (found, measured), strict=True):
        path.with_name(file).write_text(json.dumps(value), encoding="utf-8")


def _trainer(what: Specification, names: list[str], folder: Path, clock: Clock) -> Any:
    """A Trainer, and the tokenizer of its model."""
    import transformers as hf

    class Told(hf.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            clock.mark(state.global_step)

    tagging = what["task"] == "tagging"
    kind = hf.AutoModelForTokenClassification if tagging else hf.AutoModelForSequenceClassification
    hf.set_seed(what["seed"])
    model = kind.from_pretrained(
        what["model"],
        num_labels=len(names),
        hidden_dropout_prob=what["dropout"],
        attention_probs_dropout_prob=what["dropout"],
    )
    tokenizer = hf.AutoTokenizer.from_pretrained(what["model"])
    collator = hf.DataCollatorForTokenClassification if tagging else hf.DataCollatorWithPadding
    options = hf.TrainingArguments(
        str(folder / "trainer"),
        per_device_train_batch_size=what["batch"],
        max_steps=what["steps"],
        learning_rate=what["rate"],
        lr_scheduler_type="linear",
        warmup_steps=what["warmup"],
        weight_decay=what["decay"],
        max_grad_norm=1.0,
        logging_steps=what["log"],
        train_sampling_strategy=what["sampling"],
        seed=what["seed"],
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    callbacks = [Told()]
    made = hf.Trainer(model, options, collator(tokenizer), train_dataset=[{}], callbacks=callbacks)
    return made, tokenizer


def _example(
    record: dict[str, Any], tokenizer: Any, names: list[str], sequence: int
) -> dict[str, Any]:
    """The ids and labels of a record; a word's tag is that of its first piece."""
    if "tags" not in record:
        coded = tokenizer(record["text"], truncation=True, max_length=sequence)
        return {**coded, "labels": names.index(record["label"])}
    words, tags = record["words"], record["tags"]
    coded = tokenizer(words, is_split_into_words=True, truncation=True, max_length=sequence)
    places = coded.word_ids()
    firsts = [None, *places[:-1]]
    labels = [
        UNSCORED if place is None or place == before else names.index(tags[place])
        for place, before in zip(places, firsts, strict=True)
    ]
    return {**coded, "labels": labels}


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _records(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main(sys.argv[1:])
