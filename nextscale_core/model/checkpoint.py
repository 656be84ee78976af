"""Folders of weights: what is altered, cut short or too large is refused before it is loaded.

A part of a model is a folder with `config.json` and `model.safetensors`; a model may have several
parts, and a `checksums.json` beside them that says what the files were when they were written.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from nextscale_core.exceptions import ModelLoadError, NextscaleError

CHECKSUMS = "checksums.json"
"""Of a model folder: path of each file below it -> its SHA-256."""

CONFIG, WEIGHTS = "config.json", "model.safetensors"

MAX_JSON = 1 << 20
"""Largest JSON file that is read [bytes]."""

MAX_SIZE = 1 << 20
"""Largest number in a config: widths, rows of tables."""

MAX_LAYERS = 256
"""Most layers, heads or scales, and numbers in a list."""

_LAYERS = ("depth", "heads", "num_scales")

_HASH = re.compile("[0-9a-f]{64}")


_Model = TypeVar("_Model", bound=nn.Module)


def write_checksums(folder: Path) -> None:
    """Note the SHA-256 of all weights and configs below a model's folder.

    Args:
        folder: The model; a `checksums.json` that is there is replaced.

    Raises:
        ModelLoadError: a file cannot be read or written.
    """
    files = sorted(path for name in (CONFIG, WEIGHTS) for path in folder.rglob(name))
    try:
        sums = {path.relative_to(folder).as_posix(): _sha256(path) for path in files}
        (folder / CHECKSUMS).write_text(json.dumps(sums, indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise ModelLoadError(f"checksums of {folder} cannot be written: {error}") from error


def check_checksums(folder: Path) -> None:
    """Make sure that a model's files are those that were written.

    A folder without `checksums.json` passes: it may be in the middle of a training.

    Args:
        folder: The model.

    Raises:
        ModelLoadError: a file is missing, altered or not listed; the message names it.
    """
    path = folder / CHECKSUMS
    if not path.is_file():
        return
    sums = _read_json(path)
    for name, noted in sums.items():
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts or not _HASH.fullmatch(str(noted)):
            raise ModelLoadError(f"{path} does not hold SHA-256 sums of files: {name[:80]!r}")
        file = folder / inside
        if not file.is_file():
            raise ModelLoadError(f"{file} is missing, {path.name} lists it")
        found = _sha256(file)
        if found != noted:
            raise ModelLoadError(
                f"{file} was altered or cut short: its SHA-256 is {found[:16]}..., "
                f"{path.name} has {str(noted)[:16]}...; get the model anew"
            )
    listed = {(folder / name).resolve() for name in sums}
    for file in folder.rglob(WEIGHTS):
        if file.resolve() not in listed:
            raise ModelLoadError(f"{file} is not listed in {path}")


def load_part(kind: type[_Model], folder: Path | str) -> _Model:
    """Load one part of a model; nothing is downloaded or unpickled.

    Names and shapes of all weights are compared with the config before memory is taken for them.

    Args:
        kind: The class of the part, a `PyTorchModelHubMixin` whose constructor takes a config.
        folder: Holds `config.json` and `model.safetensors`.

    Returns:
        The part, in evaluation mode.

    Raises:
        ModelLoadError: a file is missing, cut short or malformed, or does not fit the other.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelLoadError(f"{folder} holds no weights: it has no {name}")
    check_checksums(folder)
    try:
        _check_shapes(kind, folder)
        # The hub's mixin prints a line, which a pipe would take for output.
        with contextlib.redirect_stdout(io.StringIO()):
            model: _Model = kind.from_pretrained(str(folder), strict=True)  # type: ignore[attr-defined]
            return model
    except ModelLoadError:
        raise
    except NextscaleError as error:
        raise ModelLoadError(f"{folder / CONFIG}: {error}") from error
    # Half a dozen parsers and constructors look at the files; whatever they find means the same.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelLoadError(f"the weights in {folder} cannot be loaded: {reason}") from error


def model_name(name: str) -> str:
    """Make sure that a name is that of a model and not a way out of the folder of models.

    Raises:
        ModelLoadError: it holds a separator or is no name at all.
    """
    if not name.isprintable() or len(name) > 200 or Path(name).name != name or name in ("", ".."):
        raise ModelLoadError(
            f"no model {name[:200]!r}: there is no such folder, and it is no name of a model"
        )
    return name


def _check_shapes(kind: type[Any], folder: Path) -> None:
    config = _read_json(folder / CONFIG)
    for name, value in config.items():
        _check_size(folder / CONFIG, name, value)
    # On the meta device a model has shapes and takes no memory.
    with torch.device("meta"):
        model: nn.Module = kind(kind._decode_arg(_config_of(kind), config))
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    weights = folder / WEIGHTS
    try:
        with safe_open(str(weights), framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelLoadError(f"{weights} is cut short or no safetensors file: {error}") from error
    missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or extra:
        raise ModelLoadError(
            f"{weights} does not fit {CONFIG}: it lacks {missing[:3]}, and has {extra[:3]} besides"
        )
    for name, shape in wanted.items():
        if found[name] != shape:
            raise ModelLoadError(
                f"{weights} does not fit {CONFIG}: {name} has shape {found[name]}, not {shape}"
            )


def _config_of(kind: type[Any]) -> Any:
    """The type of a part's config."""
    return kind._hub_mixin_init_parameters["config"].annotation


def _check_size(path: Path, name: str, value: object) -> None:
    """A config must not ask for more than any machine has."""
    values = value if isinstance(value, list) else [value]
    limit = MAX_LAYERS if name in _LAYERS or name.endswith("_depth") else MAX_SIZE
    numbers = [one for one in values if isinstance(one, int | float)]
    if len(values) > MAX_LAYERS or any(not abs(one) <= limit for one in numbers):
        raise ModelLoadError(f"{path}: {name} must be at most {limit}, got {str(value)[:60]}")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON:
            raise ModelLoadError(f"{path} is larger than {MAX_JSON} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelLoadError(f"{path} must hold a mapping, got {type(content).__name__}")
    return content


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
