"""Fixtures that every part of the tests may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run: whoever sees a failure can repeat it, and the time a run takes
# does not depend on the draw. bench/ searches at random. A busy machine is no failure.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data beside the repository; tests that need it skip without it."""
    folder = Path(os.environ.get("NEXTSCALE_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("needs the shared data folder (NEXTSCALE_SHARED), which is not here")
    return folder


@pytest.fixture(scope="session")
def trained_model() -> Path:
    """The folder of the committed model."""
    folder = ROOT / "weights" / "moscale-cmu"
    if not (folder / "generator" / "model.safetensors").is_file():
        pytest.skip("needs the trained weights in weights/moscale-cmu")
    return folder
