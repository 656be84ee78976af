"""Files that come with the package: robot profiles, model cards, weights."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from nextscale_core.exceptions import ConfigError

_PACKAGE = Path(__file__).resolve().parent
_ROOTS = (_PACKAGE / "_resources", _PACKAGE.parent)
"""Folder of an installed package, and of a source checkout."""

_MAX_LENGTH = 200
"""Maximum length of a path [characters]."""


def resource(relative: str) -> Path:
    """Path of a file or folder below `config/` or `weights/`.

    Args:
        relative: For example 'config/robots/g1.yaml' or 'weights/moscale-cmu'.

    Raises:
        ConfigError: the resource is missing (the message lists the folder), or the path leads out
            of these folders.
    """
    inside = PurePosixPath(relative)
    if inside.is_absolute() or ".." in inside.parts or not relative.isprintable():
        raise ConfigError(f"{relative[:200]!r} leads out of the package's folders")
    if len(relative) > _MAX_LENGTH:
        raise ConfigError(f"no resource {relative[:40]!r}...: {len(relative)} characters")
    for root in _ROOTS:
        if (root / relative).exists():
            return root / relative
    parents = [parent for root in _ROOTS if (parent := (root / relative).parent).is_dir()]
    known = ", ".join(sorted(p.name for p in parents[0].iterdir())) if parents else "nothing"
    raise ConfigError(f"no resource {relative!r}; there is: {known}")


def packaged_models(part: str = "generator/config.json") -> list[str]:
    """Names of the models that come with the package.

    Args:
        part: File that a model has; by default that of a motion model.
    """
    folders = [folder for root in _ROOTS for folder in sorted((root / "weights").glob("*"))]
    return list(dict.fromkeys(one.name for one in folders if (one / part).is_file()))


def packaged_model(name: str, part: str = "generator/config.json") -> Path:
    """Folder of a model that comes with the package.

    Args:
        name: Name of the model.
        part: See `packaged_models`.

    Raises:
        ConfigError: there is none of this name; the message lists those that there are.
    """
    known = packaged_models(part)
    if name not in known:
        raise ConfigError(
            f"no model {name[:_MAX_LENGTH]!r}; there is: {', '.join(known) or 'none'}"
        )
    return resource(f"weights/{name}")
