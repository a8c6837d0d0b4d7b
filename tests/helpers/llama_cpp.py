"""llama.cpp in this process: what it makes of a file, asked over its own port."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from helpers.needs import need


class LlamaCpp:
    """A model that llama.cpp has loaded.

    Args:
        path: the file.
        context: how many tokens it reads at most.
    """

    def __init__(self, path: Path, context: int = 64) -> None:
        need("" if find_spec("xllamacpp") else "not installed: xllamacpp (it may have no wheel)")
        import xllamacpp

        settings = xllamacpp.CommonParams()
        settings.model.path, settings.n_ctx = str(path), context
        settings.cpuparams.n_threads, settings.warmup, settings.verbosity = 1, False, -1
        self._server = xllamacpp.Server(settings)
        self._address = urlsplit(self._server.listening_address).netloc

    def ids(self, text: str) -> list[int]:
        """The ids of a text, with what stands before one."""
        asked = {"content": text, "add_special": True, "parse_special": False}
        found: list[int] = self._ask("/tokenize", asked)["tokens"]
        return found

    def text(self, ids: Sequence[int]) -> str:
        """The text of some ids."""
        return str(self._ask("/detokenize", {"tokens": [*ids]})["content"])

    def scores(self, ids: Sequence[int]) -> dict[int, float]:
        """The log-probability of each token behind some others."""
        # It says nothing of a place where it writes a part of a character; so it has to write a.
        asked = {"prompt": [*ids], "n_predict": 1, "n_probs": 10**6, "temperature": 0.0}
        written = {"logit_bias": [[self.ids("a")[-1], 1000.0]]}
        (found,) = self._ask("/completion", {**asked, **written})["completion_probabilities"]
        return {token["id"]: token["logprob"] for token in found["top_logprobs"]}

    def continued(self, text: str, count: int) -> list[int]:
        """The ids that it writes behind a text, the best at each place."""
        asked = {"prompt": text, "n_predict": count, "temperature": 0.0, "return_tokens": True}
        found: list[int] = self._ask("/completion", asked)["tokens"]
        return found

    def _ask(self, path: str, asked: dict[str, Any]) -> Any:
        connection = HTTPConnection(self._address, timeout=60)
        try:
            connection.request("POST", path, json.dumps(asked))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, content
        return json.loads(content)
