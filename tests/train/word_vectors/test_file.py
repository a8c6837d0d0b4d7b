"""Word vectors in text, as word2vec, fastText and GloVe write them, and what may be wrong there."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from dslm.errors import DataError
from dslm.train.word_vectors.file import MOST, VectorRows, open_vectors, read_vectors

GLOVE = "the 0.5 -0.25 1e-3\nof 1 2 3\n. . . 4 5 6\n"
PACKERS = {"gzip": gzip.compress, "zstd": zstd.compress, "bz2": bz2.compress, "xz": lzma.compress}

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a file of word vectors."""

    def make(content: str | bytes, name: str = "v.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def read(path: Path, *wanted: str) -> VectorRows:
    return read_vectors(open_vectors(path), set(wanted))


def wrong(path: Path, *wanted: str) -> list[str]:
    """What is reported of a file, without its folder."""
    with pytest.raises(DataError) as caught:
        read(path, *wanted)
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


def test_the_vectors_of_wanted_words_are_read_and_no_others(make: Make) -> None:
    found = read(make(GLOVE), "the", "of", "and")
    assert found.rows.keys() == {"the", "of"}
    assert found.rows["the"].dtype == np.float32
    assert found.rows["the"].tolist() == np.float32([0.5, -0.25, 1e-3]).tolist()
    assert (found.words, found.repeated) == (3, 0)


def test_the_first_line_of_word2vec_is_no_word(make: Make) -> None:
    file = open_vectors(make("2 3\nthe 1 2 3 \n3 4 5 6 \n"))
    assert (file.count, file.width) == (2, 3)
    found = read_vectors(file, {"the", "2", "3"})
    assert {word: row.tolist() for word, row in found.rows.items()} == {
        "the": [1, 2, 3],
        "3": [4, 5, 6],
    }


def test_a_word_may_have_spaces(make: Make) -> None:
    assert read(make(GLOVE), ". . .").rows[". . ."].tolist() == [4, 5, 6]


def test_the_width_is_that_of_most_of_the_lines(make: Make) -> None:
    assert open_vectors(make(". . . 4 5 6\nthe 1 2 3\nof 1 2 3\n")).width == 3


@pytest.mark.parametrize("between", ["\t", " \t", "  "])
def test_other_spaces_than_one_are_understood_behind_a_word(make: Make, between: str) -> None:
    assert read(make(f"the{between}1 2 3\nof 1 2 3\na 1 2 3\n"), "the").rows["the"].size == 3


def test_a_word_that_only_unicode_takes_for_a_space_or_a_line_end_is_a_word(make: Make) -> None:
    words = ["\u00a0", "\u0085", "\u2028"]
    found = read(make("".join(f"{word} {n} 1\n" for n, word in enumerate(words))), *words)
    assert [found.rows[word].tolist() for word in words] == [[0, 1], [1, 1], [2, 1]]


def test_of_a_word_that_comes_again_the_first_vector_counts(make: Make) -> None:
    found = read(make("the 1 2\nof 3 4\nthe 5 6\nthe 7 8\nof 9 9\n"), "the")
    assert found.rows["the"].tolist() == [1, 2]
    assert (found.words, found.repeated) == (5, 2)


def test_blank_lines_line_ends_and_a_byte_order_mark_are_no_part_of_words(make: Make) -> None:
    found = read(make("\ufeffthe 1 2\r\n\r\nof 3 4\r\n\n"), "the", "of")
    assert {word: row.tolist() for word, row in found.rows.items()} == {
        "the": [1, 2],
        "of": [3, 4],
    }


@pytest.mark.parametrize("packing", PACKERS)
def test_packed_files_are_read_as_what_they_hold(make: Make, packing: str) -> None:
    path = make(PACKERS[packing](GLOVE.encode()), "v.packed")
    assert read(path, "of").rows["of"].tolist() == [1, 2, 3]


def test_a_file_in_utf_16_is_read_by_its_byte_order_mark(make: Make) -> None:
    assert read(make("naïve 1 2\nof 3 4\n".encode("utf-16")), "naïve").rows["naïve"].size == 2


WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Z"]), min_size=1, max_size=5)
VALUE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.dictionaries(WORD, st.tuples(VALUE, VALUE, VALUE), min_size=1), st.booleans())
def test_what_was_written_is_read_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, vectors: dict[str, tuple[float, ...]], header: bool
) -> None:
    lines = [f"{len(vectors)} 3"] if header else []
    lines += [f"{word} {' '.join(map(repr, row))}" for word, row in vectors.items()]
    path = tmp_path_factory.mktemp("vectors") / "v.txt"
    path.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    found = read(path, *vectors)
    assert {word: tuple(row.tolist()) for word, row in found.rows.items()} == vectors
    assert found.words == len(vectors)


def test_progress_adds_up_to_the_size_of_the_file(make: Make) -> None:
    path, advanced = make(GLOVE * 5000), list[int]()
    read_vectors(open_vectors(path), {"the"}, advanced.append)
    assert len(advanced) > 1
    assert sum(advanced) == path.stat().st_size


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ("of 1 2", "has 2 numbers behind its word instead of 3; correct the line or get the file"),
        ("of", "has 0 numbers behind its word instead of 3; correct"),
        ("of 1 2 3 4", "has 4 numbers behind its word instead of 3; correct"),
        ("of 1 2,5 3", "v.txt, line 2 = '2,5': is not a number"),
        ("of 1 nan 3", "v.txt, line 2 = 'nan': is not a finite number; remove the line"),
        ("of 1 2 -inf", "v.txt, line 2 = '-inf': is not a finite number"),
        ("of 1 2 1e39", "v.txt, line 2 = '1e39': is not a finite number"),
    ],
)
def test_a_line_that_is_no_word_with_numbers_is_reported_by_its_number(
    make: Make, line: str, reported: str
) -> None:
    (problem,) = wrong(make(f"the 1 2 3\n{line}\na 1 2 3\n"), "the", "of")
    assert problem.startswith("v.txt, line 2")
    assert reported in problem


@pytest.mark.parametrize("value", ["nan", "Infinity", "x"])
def test_a_wrong_number_is_reported_even_for_a_word_that_is_not_wanted(
    make: Make, value: str
) -> None:
    (problem,) = wrong(make(f"the 1 2\nof 1 {value}\na 1 2\n"), "the")
    assert problem.startswith(f"v.txt, line 2 = '{value}': is not a")


def test_bytes_that_are_no_utf8_are_reported_by_their_line(make: Make) -> None:
    (problem,) = wrong(make(b"the 1 2\nna\xefve 1 2\nof 1 2\n"), "the")
    assert problem == (
        "v.txt, line 2: is not UTF-8; "
        "leave out what is not: iconv -c -f utf-8 -t utf-8 FILE > FIXED"
    )


def test_many_wrong_lines_are_reported_together_up_to_a_limit(make: Make) -> None:
    lines = ["the 1 2"] * 50 + ["of 1 x"] * 3 + ["a 1"]
    assert [line.partition(":")[0] for line in wrong(make("\n".join(lines)))] == [
        "v.txt, line 51 = 'x'",
        "v.txt, line 52 = 'x'",
        "v.txt, line 53 = 'x'",
        "v.txt, line 54",
    ]
    assert len(wrong(make("\n".join(["the 1 2"] * 50 + ["of 1 x"] * 40)))) == MOST


@pytest.mark.parametrize("follow", [1, 3])
def test_another_number_of_words_than_promised_is_reported(make: Make, follow: int) -> None:
    (problem,) = wrong(make("2 2\n" + "the 1 2\n" * follow))
    assert problem.startswith(f"v.txt: its first line promises 2 words, and {follow} follow; get")


def test_another_width_than_promised_is_reported(make: Make) -> None:
    (problem,) = wrong(make("2 3\nthe 1 2\nof 1 2\n"))
    assert problem.startswith("v.txt, line 2: has 2 numbers behind its word instead of 3")


@pytest.mark.parametrize("content", ["", "\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_reported(make: Make, content: str | bytes) -> None:
    assert wrong(make(content)) == ["v.txt: is empty"]


def test_a_text_of_sentences_is_reported_by_its_first_line(make: Make) -> None:
    (problem,) = wrong(make("It was the best of times\nit was the worst of times\n"))
    assert problem == "v.txt, line 1 = 'was': is not a number"
    (problem,) = wrong(make("one\nword\na\nline\n"))
    assert problem == "v.txt: does not hold a word and its numbers a line"


def test_a_packed_file_that_is_cut_short_is_reported(make: Make) -> None:
    lines = b"".join(b"w%d %d\n" % (n, n * n) for n in range(50_000))
    packed = gzip.compress(lines)
    (problem,) = wrong(make(packed[: len(packed) // 2], "v.gz"))
    assert problem.startswith("v.gz: is damaged: not whole gzip")
    assert problem.endswith("get the file again")


def test_the_binary_form_of_word2vec_is_reported_with_what_to_do(make: Make) -> None:
    rows = np.random.default_rng(0).normal(size=(300, 50)).astype(np.float32)
    words = b"".join(b"w%d " % n + row.tobytes() + b"\n" for n, row in enumerate(rows))
    (problem,) = wrong(make(b"300 50\n" + words, "v.bin"))
    assert problem == (
        "v.bin: is word2vec's binary form, and only its text form is read; write it with gensim's "
        "KeyedVectors.save_word2vec_format(FILE, binary=False)"
    )


def test_a_zip_archive_is_reported_with_what_to_do(make: Make) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.txt", GLOVE * 500)
    assert wrong(make(buffer.getvalue(), "v.zip")) == ["v.zip: is a zip archive; unzip it"]


@pytest.mark.parametrize("start", [b"\x80\x04\x95", b"\x93NUMPY", b"PAR1"])
def test_anything_else_that_is_no_text_is_reported(make: Make, start: bytes) -> None:
    content = start + np.random.default_rng(0).bytes(5000)
    (problem,) = wrong(make(content, "v.model"))
    assert problem == (
        "v.model: is not text; write the vectors as text: a word and its numbers a line"
    )


def test_a_file_that_is_missing_or_is_a_folder_is_reported(tmp_path: Path) -> None:
    assert wrong(tmp_path / "none.txt") == ["none.txt: No such file or directory"]
    assert wrong(tmp_path)[0].endswith("is no regular file")
