"""`SkeletalTokenizer`: HumanML3D features -> tokens over time and body parts (ScaleMoGen)."""

# No `from __future__ import annotations`: PyTorchModelHubMixin reads the type of `config`.

import math
from dataclasses import asdict, dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.binary_quantizer import BinaryQuantizer
from nextscale_core.model.scales import Groups, ScaleSchedule
from nextscale_core.model.tokenizer import MotionTokenizer
from nextscale_core.motion.features import (
    CONTACTS,
    NUM_FEATURES,
    POSITIONS,
    ROOT,
    ROTATIONS,
    VELOCITIES,
)
from nextscale_core.motion.skeleton import CONTACT_JOINTS

PARTS: dict[str, tuple[int, ...]] = {
    "root": (0,),
    "left_leg": (1, 4, 7, 10),
    "right_leg": (2, 5, 8, 11),
    "spine": (3, 6, 9),
    "left_arm": (13, 16, 18, 20),
    "right_arm": (14, 17, 19, 21),
    "head": (12, 15),
}
"""Joints of each body part of a token; the collars belong to the arms, the neck to the head."""

_BODY: Groups = ((0, 1, 2, 3, 4, 5, 6),)
_HALVES: Groups = ((0, 3), (1, 2, 4, 5, 6))
_TRUNK_LEGS_ARMS: Groups = ((0, 3), (1, 2), (4, 5, 6))
_FIVE: Groups = ((0,), (3,), (1, 2), (4, 5), (6,))
_SINGLE: Groups = tuple((part,) for part in range(len(PARTS)))

_PRODUCT = ScaleSchedule(
    (49, 16, 7, 4, 2, 1), (_BODY, _TRUNK_LEGS_ARMS, _SINGLE, _SINGLE, _SINGLE, _SINGLE)
)

SCHEDULES: dict[str, ScaleSchedule] = {
    "product": _PRODUCT,
    "short": _PRODUCT.first(5),
    "published": ScaleSchedule(
        (49, 24, 24, 16, 7, 7, 4, 2, 2, 1, 1),
        (
            *(_BODY, _BODY, _HALVES, _HALVES, _HALVES),
            *(_TRUNK_LEGS_ARMS, _TRUNK_LEGS_ARMS, _TRUNK_LEGS_ARMS),
            *(_FIVE, _FIVE, _SINGLE),
        ),
    ),
}
"""Schedules by name: ours, the same without its last scale, which has more than half of the tokens,
and the eleven scales of ScaleMoGen for HumanML3D."""


def part_features() -> tuple[tuple[int, ...], ...]:
    """Indices of each part's features; together each of the 263 once."""
    parts = []
    for joints in PARTS.values():
        own: list[int] = []
        for joint in joints:
            if joint == 0:
                own += range(ROOT.start, ROOT.stop)
            else:
                own += range(POSITIONS.start + 3 * (joint - 1), POSITIONS.start + 3 * joint)
                own += range(ROTATIONS.start + 6 * (joint - 1), ROTATIONS.start + 6 * joint)
            own += range(VELOCITIES.start + 3 * joint, VELOCITIES.start + 3 * (joint + 1))
            own += [CONTACTS.start + i for i, foot in enumerate(CONTACT_JOINTS) if foot == joint]
        parts.append(tuple(own))
    return tuple(parts)


@dataclass(frozen=True)
class SkeletalConfig:
    """Shape of a `SkeletalTokenizer`.

    Attributes:
        kind: 'skeletal', which the loader of a folder reads.
        width: Channels of each part at the latent rate; half of them at the frame rate.
        bits: Bits d of a token.
        depth: Residual blocks of encoder and decoder at the latent rate.
        frame_depth: Residual blocks of the decoder at the frame rate, for fast limbs.
        dilation_growth: Dilation of block i is growth ** i.
        divisors: Temporal divisor of each scale, coarse to fine.
        groups: Groups of parts of each scale; see `ScaleSchedule`.

    Raises:
        ConfigError: sizes below 1, an invalid schedule, or one that never parts the body.
    """

    kind: str = "skeletal"
    width: int = 128
    bits: int = 16
    depth: int = 3
    frame_depth: int = 2
    dilation_growth: int = 3
    divisors: tuple[int, ...] = _PRODUCT.divisors
    groups: tuple[Groups, ...] = _PRODUCT.groups

    def __post_init__(self) -> None:
        if self.kind != "skeletal":
            raise ConfigError(f"the kind of a skeletal tokenizer is 'skeletal', got {self.kind!r}")
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "frame_depth" else 1
            if field.type is int and (not isinstance(value, int) or value < least):
                raise ConfigError(f"tokenizer {field.name} must be at least {least}, got {value!r}")
        # Lists of a JSON file become tuples.
        schedule = ScaleSchedule(tuple(self.divisors), tuple(self.groups))
        object.__setattr__(self, "divisors", schedule.divisors)
        object.__setattr__(self, "groups", schedule.groups)
        if schedule.parts != len(PARTS) or len(schedule.groups[-1]) != len(PARTS):
            raise ConfigError(
                f"the last scale must have {len(PARTS)} groups of one part each, "
                f"got {schedule.groups[-1]}"
            )

    @property
    def schedule(self) -> ScaleSchedule:
        """Time and body resolution of the scales."""
        return ScaleSchedule(self.divisors, self.groups)


class _PartLinear(nn.Module):
    """A linear layer for each part: (P, B, T, in) -> (P, B, T, out)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(len(PARTS), inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(len(PARTS) * outputs))

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias.view(len(PARTS), 1, -1)
        return torch.baddbmm(bias, x.flatten(1, 2), self.weight).unflatten(1, x.shape[1:3])


class _PartBlock(nn.Module):
    """Dilated convolution over time within each part, beside a direct path."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv = _PartLinear(3 * width, width)
        self.out = _PartLinear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(P, B, T, width) -> (P, B, T, width)."""
        frames, d = x.shape[2], self.dilation
        padded = F.pad(F.silu(x), (0, 0, d, d))
        taps = [padded[:, :, shift : shift + frames] for shift in (0, d, 2 * d)]
        return x + self.out(F.silu(self.conv(torch.cat(taps, dim=-1))))


def _blocks(width: int, depth: int, growth: int) -> nn.Sequential:
    return nn.Sequential(*(_PartBlock(width, growth**i) for i in reversed(range(depth))))


class _Encoder(nn.Sequential):
    """(P, B, L, 4 F) features of the parts -> (P, B, L, D) latents."""

    def __init__(self, config: SkeletalConfig, inputs: int) -> None:
        super().__init__(
            _PartLinear(inputs, config.width),
            _blocks(config.width, config.depth, config.dilation_growth),
            nn.SiLU(),
            _PartLinear(config.width, config.bits),
        )


class _Decoder(nn.Module):
    """(P, B, L, D) latents -> (P, B, 4 L, F) features of the parts."""

    def __init__(self, config: SkeletalConfig, stride: int, outputs: int) -> None:
        super().__init__()
        own, growth = max(config.width // 2, 1), config.dilation_growth
        self.stride = stride
        self.latents = nn.Sequential(
            _PartLinear(config.bits, config.width),
            _blocks(config.width, config.depth, growth),
            nn.SiLU(),
            _PartLinear(config.width, stride * own),
        )
        self.frames = nn.Sequential(
            _blocks(own, config.frame_depth, growth), nn.SiLU(), _PartLinear(own, outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts, batch, length, _ = x.shape
        return self.frames(self.latents(x).reshape(parts, batch, length * self.stride, -1))


class SkeletalTokenizer(
    MotionTokenizer,
    coders={SkeletalConfig: (asdict, lambda data: SkeletalConfig(**data))},
):
    """Residual autoencoder of each body part, with bits over time and parts as its code.

    The features fall apart into those of seven parts. Each part has its own weights, and parts
    meet in the tokens of groups only, so that other tokens for the arms leave the features of all
    other parts unchanged to the bit. The published network (ScaleMoGen, arXiv 2605.11704) mixes
    neighbouring joints before it pools them; see docs/scalemogen.md.

    Args:
        config: Sizes.
    """

    config: SkeletalConfig
    quantizer: BinaryQuantizer
    gather: Tensor
    scatter: Tensor

    def __init__(self, config: SkeletalConfig) -> None:
        super().__init__()
        self.config = config
        parts = part_features()
        most = max(map(len, parts))
        # Index NUM_FEATURES is a zero, for parts with fewer features.
        gather = torch.full((len(parts), most), NUM_FEATURES)
        scatter = torch.empty(NUM_FEATURES, dtype=torch.long)
        for row, own in enumerate(parts):
            gather[row, : len(own)] = torch.tensor(own)
            scatter[list(own)] = row * most + torch.arange(len(own))
        self.register_buffer("gather", gather, persistent=False)
        self.register_buffer("scatter", scatter, persistent=False)
        self.encoder = _Encoder(config, self.frames_per_latent * most)
        self.decoder = _Decoder(config, self.frames_per_latent, most)
        self.quantizer = BinaryQuantizer(config.bits, config.schedule)

    def to_parts(self, features: Tensor) -> Tensor:
        """(B, T, 263) features -> (P, B, T, F) features of the parts, 0 where one has fewer."""
        return F.pad(features, (0, 1))[..., self.gather].permute(2, 0, 1, 3)

    def from_parts(self, parts: Tensor) -> Tensor:
        """Inverse of `to_parts`."""
        return parts.permute(1, 2, 0, 3).flatten(2)[..., self.scatter]

    def encode_latents(self, normalized: Tensor) -> Tensor:
        """(B, T, 263) normalized features -> (B, T // 4, 7 x D) latents; T is a multiple of 4."""
        parts = self.to_parts(normalized)
        batch, frames = normalized.shape[:2]
        spans = parts.reshape(len(PARTS), batch, frames // self.frames_per_latent, -1)
        return self.encoder(spans).permute(1, 2, 0, 3).flatten(2)

    def decode_latents(self, latents: Tensor) -> Tensor:
        """(B, L, 7 x D) latents -> (B, 4 L, 263) normalized features."""
        parts = latents.unflatten(2, (len(PARTS), -1)).permute(2, 0, 1, 3)
        return self.from_parts(self.decoder(parts))
