"""Nodes and animation of glTF 2.0 files: .gltf with its buffers, .glb and .vrma.

Meshes, materials and cameras are not read. Files may be hostile: every index and size is checked
against what the file holds.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from nextscale_core.exceptions import MotionFileError

_MAX_BYTES = 256 << 20
_JSON_CHUNK, _BINARY_CHUNK = b"JSON", b"BIN\0"
_FLOAT = 5126
_TYPES = {_FLOAT: "<f4", 5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2"}
_WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}

_Index = Annotated[int, Field(ge=0, le=10_000_000)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Three = tuple[_Number, _Number, _Number]
_Four = tuple[_Number, _Number, _Number, _Number]


class Node(BaseModel):
    """A node of the scene: its children, and its transform in its parent."""

    name: str = ""
    children: list[_Index] = []
    translation: _Three = (0.0, 0.0, 0.0)
    rotation: _Four = (0.0, 0.0, 0.0, 1.0)
    scale: _Three = (1.0, 1.0, 1.0)
    matrix: Annotated[list[_Number], Field(min_length=16, max_length=16)] | None = None


class Skin(BaseModel):
    """The nodes that are joints of a mesh."""

    joints: list[_Index]


class Target(BaseModel):
    """What a channel moves."""

    node: _Index | None = None
    path: str


class Channel(BaseModel):
    """A sampler and what it moves."""

    sampler: _Index
    target: Target


class Sampler(BaseModel):
    """Accessors of key times and values."""

    input: _Index
    output: _Index
    interpolation: Literal["LINEAR", "STEP", "CUBICSPLINE"] = "LINEAR"


class Animation(BaseModel):
    """One motion of the file."""

    name: str = ""
    channels: list[Channel]
    samplers: list[Sampler]


class _Accessor(BaseModel):
    bufferView: _Index | None = None  # noqa: N815 (the name in the file)
    byteOffset: _Index = 0  # noqa: N815
    componentType: int  # noqa: N815
    normalized: bool = False
    count: _Index
    type: str
    sparse: dict[str, Any] | None = None


class _BufferView(BaseModel):
    buffer: _Index
    byteOffset: _Index = 0  # noqa: N815
    byteLength: _Index  # noqa: N815
    byteStride: int | None = Field(default=None, ge=1, le=252)  # noqa: N815


class _Buffer(BaseModel):
    uri: str | None = None


class _Asset(BaseModel):
    version: str


class _Gltf(BaseModel):
    asset: _Asset
    nodes: list[Node] = []
    skins: list[Skin] = []
    animations: list[Animation] = []
    accessors: list[_Accessor] = []
    bufferViews: list[_BufferView] = []  # noqa: N815
    buffers: list[_Buffer] = []
    extensions: dict[str, Any] = {}


class GltfScene:
    """The nodes, skins and animations of a file.

    Args:
        path: The file; buffers that it names are read from its folder.

    Attributes:
        nodes: All nodes.
        parents: Index of each node's parent, -1 for the roots.
        order: Indices of all nodes, parents first.
        skins: All skins.
        animations: All animations.
        extensions: The extensions of the file.

    Raises:
        MotionFileError: missing or malformed file; the message names the key.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        data = _read_bytes(path)
        text, self._binary = _chunks(path, data) if data[:4] == b"glTF" else (data, None)
        try:
            tree = json.loads(text.decode("utf-8-sig"))
            self._gltf = _Gltf.model_validate(tree)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "the file"
            raise MotionFileError(f"{path}: {key}: {first['msg']}") from error
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            raise MotionFileError(f"{path} is not a glTF file: {error}") from error
        if not self._gltf.asset.version.startswith("2."):
            raise MotionFileError(
                f"{path}: asset.version must be 2.0, got {self._gltf.asset.version[:20]!r}"
            )
        self.nodes, self.skins = self._gltf.nodes, self._gltf.skins
        self.animations, self.extensions = self._gltf.animations, self._gltf.extensions
        self.parents = self._parents()
        self.order = self._order()
        self._buffers: dict[int, bytes] = {}

    def keys(self, animation: Animation, channel: Channel) -> tuple[np.ndarray, np.ndarray]:
        """Times (K,) [s] and values (K, 3 or 4) of a channel; (K, 3, 3 or 4) for CUBICSPLINE.

        Raises:
            MotionFileError: data that are missing, cut short, or not in order of time.
        """
        if channel.sampler >= len(animation.samplers):
            raise self.fault(f"animation {animation.name!r} has no sampler {channel.sampler}")
        sampler = animation.samplers[channel.sampler]
        times = self._accessor(sampler.input)[:, 0]
        values = self._accessor(sampler.output)
        width = 4 if channel.target.path == "rotation" else 3
        cubic = sampler.interpolation == "CUBICSPLINE"
        if values.shape != (len(times) * (3 if cubic else 1), width) or not len(times):
            raise self.fault(
                f"accessor {sampler.output} has {values.shape} values for {len(times)} keys of a "
                f"{channel.target.path}"
            )
        if (np.diff(times) <= 0.0).any():
            raise self.fault(f"accessor {sampler.input}: the times of the keys must rise")
        return times, values.reshape(len(times), 3, width) if cubic else values

    def fault(self, message: str) -> MotionFileError:
        """An error of this file."""
        return MotionFileError(f"{self._path}: {message}")

    def _parents(self) -> list[int]:
        parents = [-1] * len(self.nodes)
        for index, node in enumerate(self.nodes):
            for child in node.children:
                if child >= len(self.nodes) or parents[child] >= 0 or child == index:
                    raise self.fault(
                        f"nodes.{index}.children: {child} is not a node, or has another parent"
                    )
                parents[child] = index
        return parents

    def _order(self) -> list[int]:
        order = [index for index, parent in enumerate(self.parents) if parent < 0]
        for index in order:
            order += self.nodes[index].children
        if len(order) != len(self.nodes):
            raise self.fault("nodes: some are their own ancestors")
        return order

    def _accessor(self, index: int) -> np.ndarray:
        """(count, width) numbers; integers are normalised."""
        if index >= len(self._gltf.accessors):
            raise self.fault(f"accessor {index} does not exist")
        one = self._gltf.accessors[index]
        width = _WIDTHS.get(one.type, 0)
        if not width or one.componentType not in _TYPES or one.sparse is not None:
            raise self.fault(
                f"accessors.{index}: {one.type} of component type {one.componentType}"
                f"{', sparse,' if one.sparse is not None else ''} is not read as animation"
            )
        kind = np.dtype(_TYPES[one.componentType])
        if one.bufferView is None or one.bufferView >= len(self._gltf.bufferViews):
            raise self.fault(f"accessors.{index}.bufferView: {one.bufferView} does not exist")
        view = self._gltf.bufferViews[one.bufferView]
        data = self._buffer(view.buffer)[view.byteOffset : view.byteOffset + view.byteLength]
        row = width * kind.itemsize
        stride = view.byteStride or row
        if one.count and one.byteOffset + stride * (one.count - 1) + row > len(data):
            raise self.fault(f"accessors.{index}: {one.count} values, the data end before")
        if not one.count:
            return np.zeros((0, width))
        values = np.ndarray((one.count, width), kind, data, one.byteOffset, (stride, kind.itemsize))
        numbers = values.astype(np.float64)
        if kind.kind in "iu":
            numbers = np.maximum(numbers / np.iinfo(kind).max, -1.0)
        if not np.isfinite(numbers).all():
            raise self.fault(f"accessors.{index} holds NaN or infinity")
        return numbers

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            if index >= len(self._gltf.buffers):
                raise self.fault(f"buffer {index} does not exist")
            uri = self._gltf.buffers[index].uri
            if uri is None and (index > 0 or self._binary is None):
                raise self.fault(f"buffers.{index} has neither data nor a uri")
            self._buffers[index] = (self._binary or b"") if uri is None else self._fetch(index, uri)
        return self._buffers[index]

    def _fetch(self, index: int, uri: str) -> bytes:
        if uri.startswith("data:"):
            try:
                return base64.b64decode(uri.partition(",")[2], validate=True)
            except (binascii.Error, ValueError) as error:
                raise self.fault(f"buffers.{index}.uri is not base64: {error}") from error
        name = unquote(uri)
        # Only files beside this one or below it: a uri could name any file, or a server.
        parts = Path(name).parts
        if ":" in name or "\0" in name or name.startswith("/") or ".." in parts:
            raise self.fault(f"buffers.{index}.uri {name[:60]!r} must be a file in the same folder")
        return _read_bytes(self._path.parent / name)


def _read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise MotionFileError(f"{path} is larger than {_MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise MotionFileError(f"cannot read {path}: {error.strerror or error}") from error


def _chunks(path: Path, data: bytes) -> tuple[bytes, bytes | None]:
    """JSON text and binary chunk of a .glb file."""
    try:
        _, version, length = struct.unpack_from("<4sII", data)
        if version != 2 or length > len(data):
            raise MotionFileError(
                f"{path}: the header states version {version} and {length} bytes; the file has "
                f"{len(data)}, and version 2 is read"
            )
        chunks: dict[bytes, bytes] = {}
        at = 12
        while at + 8 <= length:
            size, kind = struct.unpack_from("<I4s", data, at)
            if at + 8 + size > length:
                raise MotionFileError(f"{path}: a chunk of {size} bytes ends after the file")
            chunks.setdefault(kind, data[at + 8 : at + 8 + size])
            at += 8 + size
        return chunks[_JSON_CHUNK], chunks.get(_BINARY_CHUNK)
    except (struct.error, KeyError) as error:
        raise MotionFileError(f"{path} is not a whole glb file: {error}") from error
