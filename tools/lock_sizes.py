"""Appends the wheel size to each pin of at least 1 MB: stdin to stdout, see lock.sh.

The argument is the same resolution in the format of PEP 751, which contains the sizes. The last
line is the sum of the GPU libraries that PyPI's torch requires, which are not pinned.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tomllib

GPU_LIBRARIES = ("nvidia-", "cuda-", "triton")
MEGABYTE = 1_000_000


def megabytes(package: dict[str, Any]) -> int:
    """Size of the largest file that pip might choose on Linux, x86_64."""
    fits = [
        wheel["size"]
        for wheel in package.get("wheels", [])
        if "manylinux" in (tags := wheel["url"].rpartition("/")[2]) and "x86_64" in tags
    ]
    fits = fits or [wheel["size"] for wheel in package.get("wheels", [])]
    return round(max(fits or [package.get("sdist", {}).get("size", 0)]) / MEGABYTE)


def main() -> None:
    """Run the program."""
    packages = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["packages"]
    sizes = {(one["name"], one.get("version")): megabytes(one) for one in packages}
    for line in sys.stdin.read().splitlines():
        name, _, rest = line.partition("==")
        size = sizes.get((name, rest.split(" ")[0]), 0)
        print(f"{line}  # {size} MB" if size else line)
    # Versions of one library for several Pythons count once.
    gpu = {name: size for (name, _), size in sizes.items() if name.startswith(GPU_LIBRARIES)}
    if gpu:
        print(f"# The torch of PyPI asks for {len(gpu)} GPU libraries more: {sum(gpu.values())} MB")


if __name__ == "__main__":
    main()
