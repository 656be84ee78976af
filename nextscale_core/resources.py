"""Where the files that travel with the package are: robot profiles, model cards, weights."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from nextscale_core.exceptions import ConfigError

_PACKAGE = Path(__file__).resolve().parent

_LONGEST = 200
"""Longer names no file system has [characters]."""


def resource(relative: str) -> Path:
    """Path of a file or folder below `config/` or `weights/`.

    An installed package carries both inside `nextscale_core/_resources`; in a source checkout
    they stand beside the package.

    Args:
        relative: For example 'config/robots/g1.yaml' or 'weights/moscale-cmu'.

    Raises:
        ConfigError: no such resource; the message lists what the folder holds. Or a path that
            leads out of these folders.
    """
    inside = PurePosixPath(relative)
    if inside.is_absolute() or ".." in inside.parts or not relative.isprintable():
        raise ConfigError(f"{relative[:200]!r} leads out of the package's folders")
    if len(relative) > _LONGEST:
        raise ConfigError(f"no resource {relative[:40]!r}...: {len(relative)} characters")
    for root in (_PACKAGE / "_resources", _PACKAGE.parent):
        path = root / relative
        if path.exists():
            return path
    parent = next(
        (
            p
            for r in (_PACKAGE / "_resources", _PACKAGE.parent)
            if (p := (r / relative).parent).is_dir()
        ),
        None,
    )
    known = ", ".join(sorted(p.name for p in parent.iterdir())) if parent else "nothing"
    raise ConfigError(f"no resource {relative!r}; there is: {known}")
