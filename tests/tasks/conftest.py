"""What several files of tests share."""

from __future__ import annotations

import pytest
from helpers.questions import letters_in

from dslm.tokenizers.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def questioned(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A tokenizer for questions."""
    return letters_in(tmp_path_factory.mktemp("questioned"))
