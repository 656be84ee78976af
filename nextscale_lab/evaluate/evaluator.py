"""`Evaluator`: interface of text-motion models for metrics, and their loading.

The package has one (`weights/evaluator-cmu`). Others, such as HumanML3D's official one, are
wrapped in a file and named as `path/to/file.py:factory`:

    # official.py
    import numpy as np
    from their_code import load_evaluator, tag_words

    class Official:
        name = "humanml3d-official"

        def __init__(self):
            self.model = load_evaluator("checkpoints/t2m/text_mot_match/model/finest.tar")
            self.mean, self.std = np.load("Mean.npy"), np.load("Std.npy")

        def embed_texts(self, texts):
            return self.model.text_embeddings([tag_words(text) for text in texts])

        def embed_motions(self, motions):
            return self.model.motion_embeddings([(m - self.mean) / self.std for m in motions])

    def factory():
        return Official()

    nextscale evaluate --data DATA --evaluator official.py:factory ...

Such a file is run as Python code: use trusted files only.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from nextscale_core.exceptions import ConfigError, ModelLoadError, NextscaleError
from nextscale_core.resources import packaged_model

DEFAULT_EVALUATOR = "evaluator-cmu"


class Evaluator(Protocol):
    """Encoders of sentences and motions into one space."""

    @property
    def name(self) -> str:
        """Name in reports."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """N sentences -> (N, D)."""
        ...

    def embed_motions(self, motions: Sequence[np.ndarray]) -> np.ndarray:
        """N arrays (T, 263) of HumanML3D features, not normalised -> (N, D)."""
        ...


def load_evaluator(name_or_path: str | Path = DEFAULT_EVALUATOR, device: str = "cpu") -> Evaluator:
    """Load an evaluator.

    Args:
        name_or_path: 'evaluator-cmu', a folder with `config.json` and `model.safetensors`
            written by `nextscale train evaluator`, or 'path/to/file.py:factory', where
            `factory()` returns an object with the methods of `Evaluator`.
        device: Torch device; a file's factory chooses its own.

    Raises:
        ModelLoadError: the evaluator is missing or invalid.
    """
    text = str(name_or_path)
    file, colon, factory = text.rpartition(":")
    if colon and file.endswith(".py"):
        return _from_file(Path(file), factory)
    if text.endswith(".py"):
        raise ModelLoadError(f"evaluator {text}: name the function that makes it, {text}:FUNCTION")
    return _from_folder(_folder(name_or_path), device)


def embed_texts(evaluator: Evaluator, texts: Sequence[str]) -> np.ndarray:
    """(N, D) float64 embeddings of sentences, checked.

    Raises:
        ConfigError: the evaluator returned another shape, or NaN or infinity.
    """
    return _checked(evaluator, evaluator.embed_texts(list(texts)), len(texts), "embed_texts")


def embed_motions(evaluator: Evaluator, motions: Sequence[np.ndarray]) -> np.ndarray:
    """(N, D) float64 embeddings of features, checked.

    Raises:
        ConfigError: the evaluator returned another shape, or NaN or infinity.
    """
    found = evaluator.embed_motions(list(motions))
    return _checked(evaluator, found, len(motions), "embed_motions")


def _checked(evaluator: Evaluator, found: object, count: int, what: str) -> np.ndarray:
    name = f"evaluator {evaluator.name}"
    try:
        array = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"evaluator {evaluator.name}: {what} did not return an array: {error}"
        ) from error
    if array.ndim != 2 or len(array) != count:
        raise ConfigError(f"{name}: {what} must return ({count}, D), got {array.shape}")
    if not np.isfinite(array).all():
        raise ConfigError(f"{name}: {what} returned NaN or infinity")
    return array


def _folder(name_or_path: str | Path) -> Path:
    # Loading torch takes seconds and is not needed for other evaluators.
    from nextscale_core.model.checkpoint import model_name

    try:
        if Path(name_or_path).is_dir():
            return Path(name_or_path)
        return packaged_model(model_name(str(name_or_path)), "config.json")
    except OSError as error:
        raise ModelLoadError(f"no evaluator {str(name_or_path)[:200]!r}: {error}") from error
    except ConfigError as error:
        raise ModelLoadError(f"no evaluator {str(name_or_path)!r}: {error}") from error


def _from_folder(folder: Path, device: str) -> Evaluator:
    from nextscale_core.model.checkpoint import existing_device, load_part
    from nextscale_lab.evaluate.evaluator_model import MotionTextEvaluator

    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise ModelLoadError(f"{folder} is not an evaluator: {name} is missing")
    try:
        model = load_part(MotionTextEvaluator, folder)
        return model.to(existing_device(device)).eval().requires_grad_(False)
    except (NextscaleError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelLoadError(f"the evaluator in {folder} cannot be loaded: {reason}") from error


def _from_file(path: Path, factory: str) -> Evaluator:
    if not path.is_file():
        raise ModelLoadError(f"no evaluator file {path}")
    spec = importlib.util.spec_from_file_location(f"nextscale_evaluator_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ModelLoadError(f"{path} cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    # Foreign code may raise any exception.
    except Exception as error:
        raise ModelLoadError(f"{path}: {type(error).__name__}: {error}") from error
    make = getattr(module, factory, None)
    if not callable(make):
        raise ModelLoadError(f"{path} has no function {factory!r}")
    try:
        made = make()
    except Exception as error:
        raise ModelLoadError(f"{path}:{factory}: {type(error).__name__}: {error}") from error
    missing = [n for n in ("name", "embed_texts", "embed_motions") if not hasattr(made, n)]
    if missing:
        raise ModelLoadError(
            f"{path}:{factory} must return an object with name, embed_texts and embed_motions; "
            f"{type(made).__name__} has no {missing[0]}"
        )
    return cast(Evaluator, made)
