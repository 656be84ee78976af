"""Model folders: altered, truncated or oversized files are refused before they are loaded.

A part of a model is a folder with `config.json` and `model.safetensors`; a model may have several
parts, and beside them a `checksums.json` with the SHA-256 of each file as it was written.
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
from torch.overrides import TorchFunctionMode

from nextscale_core.exceptions import ConfigError, ModelLoadError, NextscaleError

CHECKSUMS = "checksums.json"
"""File of a model folder: path of each file below it -> its SHA-256."""

CONFIG, WEIGHTS = "config.json", "model.safetensors"

MAX_JSON = 1 << 20
"""Maximum size of a JSON file [bytes]."""

MAX_SIZE = 1 << 20
"""Maximum number in a config: widths, rows of tables."""

MAX_LAYERS = 256
"""Maximum number of layers, heads or scales, and of items in a list."""

_LAYERS = ("depth", "heads", "num_scales")

_HASH = re.compile("[0-9a-f]{64}")

_FILLING = {"normal_", "uniform_", "trunc_normal_", "kaiming_uniform_", "xavier_uniform_"}
"""Functions that fill a tensor with random numbers."""

_Model = TypeVar("_Model", bound=nn.Module)


def existing_device(device: str) -> torch.device:
    """The torch device of a name.

    Raises:
        ConfigError: no such device; the message lists those of this machine.
    """
    present = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"unknown device {device!r}; there is {', '.join(present)}") from error
    name = str(wanted) if wanted.type != "cuda" or wanted.index is not None else "cuda:0"
    if name not in present:
        raise ConfigError(f"device {device!r} is not there; there is {', '.join(present)}")
    return wanted


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of all weights and configs below a model's folder, replacing older ones.

    Raises:
        ModelLoadError: a file cannot be read or written.
    """
    names = (CONFIG, "*.safetensors")
    files = sorted(path for name in names for path in folder.rglob(name))
    try:
        sums = {path.relative_to(folder).as_posix(): _sha256(path) for path in files}
        (folder / CHECKSUMS).write_text(json.dumps(sums, indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise ModelLoadError(f"checksums of {folder} cannot be written: {error}") from error


def check_checksums(folder: Path) -> None:
    """Check that a model's files are unchanged since they were written.

    A folder without `checksums.json` passes: its training may still be running.

    Raises:
        ModelLoadError: a file is missing, altered or not listed; the message names it.
    """
    path = folder / CHECKSUMS
    if not path.is_file():
        return
    sums = read_json(path)
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
                f"{file} was altered or truncated: its SHA-256 is {found[:16]}..., "
                f"{path.name} has {str(noted)[:16]}...; download the model again"
            )
    listed = {(folder / name).resolve() for name in sums}
    for file in folder.rglob("*.safetensors"):
        if file.resolve() not in listed:
            raise ModelLoadError(f"{file} is not listed in {path}")


def load_part(kind: type[_Model], folder: Path | str) -> _Model:
    """Load one part of a model; nothing is downloaded or unpickled.

    Names and shapes of all weights are compared with the config before memory is allocated.

    Args:
        kind: The class of the part, a `PyTorchModelHubMixin` whose constructor takes a config.
        folder: Holds `config.json` and `model.safetensors`.

    Returns:
        The part, in evaluation mode.

    Raises:
        ModelLoadError: a file is missing, truncated or malformed, or does not fit the other.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelLoadError(f"{folder} holds no weights: it has no {name}")
    check_checksums(folder)
    try:
        _check_shapes(kind, folder)
        # The hub's mixin prints a line, which would end up in a pipe.
        with contextlib.redirect_stdout(io.StringIO()):
            model: _Model = kind.from_pretrained(str(folder), strict=True)  # type: ignore[attr-defined]
            return model
    except ModelLoadError:
        raise
    except NextscaleError as error:
        raise ModelLoadError(f"{folder / CONFIG}: {error}") from error
    # Several parsers and constructors read the files; any of their errors means the same.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelLoadError(f"the weights in {folder} cannot be loaded: {reason}") from error


def model_name(name: str) -> str:
    """Check that a name is a plain file name and does not lead out of the folder of models.

    Raises:
        ModelLoadError: it is empty, too long, or has a separator or unprintable characters.
    """
    if not name.isprintable() or len(name) > 200 or Path(name).name != name or name in ("", ".."):
        raise ModelLoadError(
            f"no model {name[:200]!r}: neither a folder nor a valid name of a model"
        )
    return name


class _Unfilled(TorchFunctionMode):
    """Leaves tensors without random numbers, neither drawn nor scaled.

    For these, torch loads its compiler on the meta device: a thousand modules, 90 MB.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.__name__ == "randn":
            return torch.empty(*args, **kwargs)
        scaled = func.__name__ == "mul" and isinstance(args[1], float)
        if scaled or func.__name__ in _FILLING:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _check_shapes(kind: type[Any], folder: Path) -> None:
    config = read_json(folder / CONFIG)
    for name, value in config.items():
        _check_size(folder / CONFIG, name, value)
    # On the meta device a model has shapes but takes no memory.
    with torch.device("meta"), _Unfilled():
        annotation = kind._hub_mixin_init_parameters["config"].annotation
        model: nn.Module = kind(kind._decode_arg(annotation, config))
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    weights = folder / WEIGHTS
    try:
        with safe_open(str(weights), framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelLoadError(f"{weights} is not a complete safetensors file: {error}") from error
    missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or extra:
        raise ModelLoadError(
            f"{weights} does not fit {CONFIG}: missing {missing[:3]}, unexpected {extra[:3]}"
        )
    for name, shape in wanted.items():
        if found[name] != shape:
            raise ModelLoadError(
                f"{weights} does not fit {CONFIG}: {name} has shape {found[name]}, not {shape}"
            )


def _check_size(path: Path, name: str, value: object) -> None:
    """Refuse numbers in a config that no machine has memory for."""
    values = value if isinstance(value, list) else [value]
    limit = MAX_LAYERS if name in _LAYERS or name.endswith("_depth") else MAX_SIZE
    numbers = [one for one in values if isinstance(one, int | float)]
    if len(values) > MAX_LAYERS or any(not abs(one) <= limit for one in numbers):
        raise ModelLoadError(f"{path}: {name} must be at most {limit}, got {str(value)[:60]}")


def read_json(path: Path) -> dict[str, Any]:
    """Mapping in a JSON file of at most `MAX_JSON` bytes.

    Raises:
        ModelLoadError: the file is missing, malformed or too large, or holds no mapping.
    """
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
