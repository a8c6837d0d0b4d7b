from __future__ import annotations

import gzip
import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.calling import TEXT, Call
from helpers.sharding_runs import statistics, texts

from dslm.commands.shard import main
from dslm.commands.shard_config import PreprocessingConfig
from dslm.config.help import keys
from dslm.preprocess.clean.presets import PRESETS
from dslm.shards.manifest import Manifest


def rejects() -> list[dict[str, Any]]:
    packed = gzip.decompress(Path("rejects.jsonl.gz").read_bytes())
    return [json.loads(line) for line in packed.decode().splitlines()]


def test_the_first_screen_says_what_will_be_done(call: Call) -> None:
    code, _, reported = call("--clean", "text", "duplicates.documents=true", "--workers", "2")
    assert code == 0
    assert reported.splitlines()[:5] == [
        "input     3 files, about 204B of text",
        "cleaning  mojibake, unicode, controls, markup, whitespace, duplicates (documents)",
        "work      1 unit, 2 workers, 3 passes over the text",
        "          2 processes for 1 unit of work: text of up to 1MB is one unit",
        "output    set, shards of 256MB",
    ]


@pytest.mark.parametrize(
    ("name", "pack", "words", "why"),
    [
        ("a.txt", bytes, [], "a file is not divided where it is one document"),
        ("a.txt.gz", gzip.compress, ["--documents", "line"], "a packed file is not divided"),
        ("a.txt", bytes, ["--documents", "line"], ""),
    ],
)
def test_workers_without_work_are_noticed_with_the_reason(
    call: Call, name: str, pack: Callable[[bytes], bytes], words: list[str], why: str
) -> None:
    draw = random.Random(2)
    Path(name).write_bytes(pack("\n".join(draw.randbytes(500).hex() for _ in range(1200)).encode()))
    _, _, reported = call("--input", name, "--workers", "2", *words)
    assert ("2 processes for 1 unit of work: " in reported) == bool(why)
    assert why in reported


def test_the_last_screen_says_what_was_made_and_what_was_not(call: Call) -> None:
    Path("corpus/3.txt").write_text("<p>the river</p>")
    Path("corpus/4.txt").write_text("<p>the river</p>")
    Path("corpus/5.jsonl").write_text('{"text": "the stone"}\n{"txt": "lost"}\n')
    code, reported, _ = call("--clean", "text", "duplicates.documents=true", "--max-bad", "1")
    assert code == 0
    assert "  5 documents, 5 sentences, " in reported
    assert "  left out: 1 duplicate\n" in reported
    assert "  broken: 1 no text key\n" in reported
    assert "    5.jsonl: no text key (line 2" in reported
    assert "  changed: 2 markup removed" in reported
    assert reported.splitlines()[-3:-1] == ["next:", "  dslm data stats set"]


@pytest.mark.parametrize(("form", "cut"), [("a.txt", True), ("a.jsonl", False)])
def test_a_set_of_few_documents_is_told_with_what_gives_such_files_more(
    call: Call, form: str, cut: bool
) -> None:
    lines = [f"{number} {TEXT}" for number in range(12)]
    Path("a.txt").write_text("\n\n".join(lines))
    Path("a.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    words = ["--documents", "block", "--split", "one,two=50,three=20"]
    code, screen, _ = call("--input", form, *words)
    assert code == 0
    warnings = [line for line in screen.splitlines() if "too few to say much; " in line]
    assert warnings
    for warning in warnings:
        assert "a larger share" in warning
        assert ("--documents line" in warning) is cut
        assert "--longest" not in warning


def test_standard_input_is_text_like_any_other(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(json.dumps({"text": f"{n} rivers"}) + "\n" for n in range(3))
    packed = io.TextIOWrapper(io.BytesIO(gzip.compress(lines.encode())))
    monkeypatch.setattr("sys.stdin", packed)
    before = set(os.listdir())
    code, reported, _ = call("--input", "-")
    assert code == 0, reported
    assert texts() == ["0 rivers", "1 rivers", "2 rivers"]
    assert set(os.listdir()) - before == {"set"}


def test_a_preset_is_changed_by_what_is_said_after_it(call: Call) -> None:
    Path("corpus/0.txt").write_text("<p>the  river</p>\t\n")
    assert call("--clean", "text", "cleaning.whitespace.on=false")[0] == 0
    settings = Manifest.load(Path("set")).settings["cleaning"]
    assert settings["markup"]["on"]
    assert not settings["whitespace"]["on"]
    assert "the  river" in texts()[0]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_runs(call: Call, preset: str) -> None:
    Path("corpus/long.txt").write_text(f"{TEXT.capitalize()}.\n" * 3)
    code, _, error = call("--clean", preset)
    nothing = preset == "web"  # none of this is prose that one would keep
    assert code == (2 if nothing else 0)
    assert ("holds no text to tokenize; all of it was left out: " in error) == nothing


@pytest.mark.parametrize(
    ("word", "reported"),
    [
        ("cleaning.marcup.on=true", "unknown key; did you mean 'cleaning.markup'?"),
        ("cleaning.markup.om=true", "unknown key; did you mean 'cleaning.markup.on'?"),
        ("duplicates.documents=yes", "duplicates.documents = 'yes': must be true or false"),
        ("cleaning.language.allow='[\"xx\"]'", "cleaning.language.allow"),
        ("duplicates.threshold=2", "duplicates.threshold = 2: must be at most 1"),
        ("corpus", "corpus"),
    ],
)
def test_a_mistaken_setting_is_one_line(call: Call, word: str, reported: str) -> None:
    code, _, error = call("cleaning.language.on=true", word)
    assert code == 2
    assert error.count("error:") == 1
    assert reported in error
    assert not Path("set").exists()


def test_help_tells_every_option_preset_and_key(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    reported = capsys.readouterr().out
    for option in ("--input", "--tokenizer", "--workers", "--rejects", "--max-bad", "--longest"):
        assert option in reported
    for name, preset in PRESETS.items():
        assert f"  {name:<8}{preset.__doc__}" in reported
    for key in keys(PreprocessingConfig).values():
        if key.type != "a group of keys":
            assert f"  {key.name}  (" in reported


def test_rejected_records_are_written_aside_with_their_reasons(call: Call) -> None:
    Path("corpus/3.txt").write_text(f"0 {TEXT}\n")
    Path("corpus/4.jsonl").write_text('{"text": "river"}\n{"text": \n{"text": " "}\n')
    words = ("--rejects", "rejects.jsonl.gz", "duplicates.documents=true")
    code, reported, _ = call(*words)
    assert code == 0
    assert "  what was left out: rejects.jsonl.gz" in reported
    found = [(one["input"], one["place"], one["reason"]) for one in rejects()]
    assert found == [
        ("4.jsonl", 18, "not JSON"),
        ("4.jsonl", 28, "empty"),
        ("3.txt", 0, "duplicate"),
    ]
    assert [one["text"] for one in rejects()] == ['{"text": \n', "", f"0 {TEXT}\n"]
    assert statistics().left_out == {"duplicate": 1, "empty": 1}


def test_after_a_split_that_came_to_nothing_the_name_for_rejects_is_refused_beforehand(
    call: Call,
) -> None:
    Path("a.jsonl").write_text(json.dumps({"text": TEXT}) + "\n")
    words = ["--input", "a.jsonl", "--rejects", "r.gz", "--split"]
    code, _, error = call(*words, "one=9,two=1")
    assert code == 2
    assert "of 1 document none fell into" in error
    code, _, error = call(*words, "one=1,two=1")
    assert code == 2
    assert "--rejects = 'r.gz': there is such a file already" in error
    assert "input     " not in error, "no first screen"
    Path("r.gz").unlink()
    _, _, error = call(*words, "one=1,two=1")
    assert "resuming" not in error


def test_too_many_broken_records_stop_and_more_patience_goes_on(call: Call) -> None:
    Path("corpus/3.jsonl").write_text("{\n" * 5)
    code, _, error = call("--max-bad", "4")
    assert code == 2
    assert "3.jsonl: not JSON (line 1" in error
    assert "error: --max-bad = 4: 5 records are broken; mend the input, or let more pass" in error
    assert not Path("set").exists()
    assert call("--max-bad", "5")[0] == 0
    assert statistics().broken == {"not JSON": 5}


def test_unfinished_work_with_other_settings_is_refused_in_one_sentence(call: Call) -> None:
    Path("corpus/3.jsonl").write_text("{\n")
    small = ["--shard-size", "64B"]  # so that some units are done before the broken one
    assert call("--max-bad", "0", *small)[0] == 2
    code, _, error = call("--clean", "text", *small)
    assert code == 2
    (line,) = [line for line in error.splitlines() if line.startswith("error:")]
    assert ".set.partial: holds unfinished work of another command: " in line
    assert "repeat that command, remove the folder, or choose another --output" in line


def test_a_first_mistake_does_not_stand_in_the_way_of_the_corrected_command(call: Call) -> None:
    Path("corpus/3.jsonl").write_text('{"texts": "the river"}\n')
    assert call("--max-bad", "0")[0] == 2
    assert call("--max-bad", "0", "--text-key", "texts")[0] == 0


def test_a_set_of_another_config_is_refused_in_one_sentence(call: Call) -> None:
    assert call()[0] == 0
    before = Path("set/manifest.json").read_bytes()
    code, _, error = call("--clean", "text")
    assert code == 2
    (line,) = [line for line in error.splitlines() if line.startswith("error:")]
    assert "set: holds a shard set made from other text or with other settings; remove it" in line
    assert Path("set/manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (
            ['cleaning.language.allow=["en"]'],
            "cleaning.language.allow = ('en',): has no effect: cleaning.language.on is false; "
            "add cleaning.language.on=true",
        ),
        (["duplicates.rows=4"], "duplicates.rows = 4: has no effect: duplicates.near is false"),
        (["--rejects", "taken"], "--rejects = 'taken': there is such a file already"),
        (["--rejects", "corpus/r.gz", "--input", "corpus"], "lies in a folder that is read"),
        (["--output", "corpus/set", "--input", "corpus"], "lies in a folder that is read"),
        (["--longest", "15"], "--longest = '15': is less than 16 characters; write 16 or more"),
        (["--tokenizer", "no/where"], "--tokenizer = 'no/where': there is no such folder or file"),
    ],
)
def test_what_would_go_wrong_later_is_reported_before_anything_is_done(
    call: Call, words: list[str], reported: str
) -> None:
    Path("taken").touch()
    code, results, error = call(*words)
    assert (code, results) == (2, "")
    assert reported in error
    assert "input     " not in error, "no first screen"
    assert not list(Path().glob(".*"))


def test_rejected_texts_hold_no_personal_data_when_these_are_masked(call: Call) -> None:
    Path("corpus/3.jsonl").write_text('{"text": "write to anna@example.org"}\n{"broken@x.org\n')
    assert call("cleaning.personal.on=true", "--rejects", "r.gz")[0] == 0
    with gzip.open("r.gz", "rt") as file:
        reported = file.read()
    assert "<EMAIL>" in reported
    assert "@" not in reported
