"""The manifest for Kubernetes, as its readers see it."""

from __future__ import annotations

from typing import Any

import yaml

from helpers.paths import ROOT

MANIFEST = ROOT / "launch" / "kubernetes.yaml"


def documents() -> dict[str, dict[str, Any]]:
    """The objects, by their kind."""
    found = list(yaml.safe_load_all(MANIFEST.read_text()))
    assert len({one["kind"] for one in found}) == len(found)
    return {one["kind"]: one for one in found}


def pod() -> dict[str, Any]:
    """What each pod of the job is."""
    found: dict[str, Any] = documents()["Job"]["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    """The only container of a pod."""
    (found,) = pod()["containers"]
    return dict(found)
