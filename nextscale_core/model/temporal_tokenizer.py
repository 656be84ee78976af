"""`TemporalTokenizer`: HumanML3D features -> multi-scale tokens -> features (MoScale)."""

# No `from __future__ import annotations`: PyTorchModelHubMixin reads the type of `config`.

from dataclasses import asdict, dataclass, fields

import torch
from torch import Tensor, nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.quantizer import MultiScaleQuantizer
from nextscale_core.model.tokenizer import MotionTokenizer
from nextscale_core.motion.features import NUM_FEATURES


@dataclass(frozen=True)
class TokenizerConfig:
    """Shape of a `TemporalTokenizer`.

    Attributes:
        width: Channels of encoder and decoder.
        code_dim: Width of a code.
        num_codes: Size of the shared codebook.
        depth: Residual blocks at each of the two strided stages.
        dilation_growth: Dilation of block i is growth ** i.
        divisors: Temporal divisor of each scale, coarse to fine.
        frame_depth: Residual blocks of the decoder at the frame rate, for fast limbs.
    """

    width: int = 256
    code_dim: int = 128
    num_codes: int = 512
    depth: int = 3
    dilation_growth: int = 3
    divisors: tuple[int, ...] = (8, 4, 2, 1, 1)
    frame_depth: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "divisors", tuple(self.divisors))
        for field in fields(self):
            value = getattr(self, field.name)
            values = value if isinstance(value, tuple) else (value,)
            least = 0 if field.name == "frame_depth" else 1
            if not values or any(not isinstance(v, int) or v < least for v in values):
                raise ConfigError(f"tokenizer {field.name} must be at least {least}, got {value!r}")
        if list(self.divisors) != sorted(self.divisors, reverse=True) or self.divisors[-1] != 1:
            raise ConfigError(f"divisors must fall to 1, coarse to fine; got {self.divisors}")


class _Conv(nn.Conv1d):
    """`nn.Conv1d` that runs on the CPU as a channels-last 2-D convolution.

    The results equal those of `nn.Conv1d`; training on a CPU takes two thirds of the time.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        flat = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return nn.functional.conv2d(
            flat,
            self.weight.unsqueeze(2),
            self.bias,
            stride=(1, *self.stride),
            padding=(0, int(self.padding[0])),
            dilation=(1, *self.dilation),
        ).squeeze(2)


class ResidualBlock(nn.Module):
    """Dilated convolution over time, beside a direct path."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = _Conv(width, width, 3, padding=dilation, dilation=dilation)
        self.conv2 = _Conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, T) -> (B, width, T)."""
        hidden = self.conv1(nn.functional.silu(x))
        return x + self.conv2(nn.functional.silu(hidden))


def _residual_stack(width: int, depth: int, growth: int, reverse: bool) -> nn.Sequential:
    dilations = [growth**i for i in range(depth)]
    if reverse:
        dilations.reverse()
    return nn.Sequential(*(ResidualBlock(width, d) for d in dilations))


class _TemporalAttention(nn.Module):
    """Pre-norm self-attention over time at the latent rate, with a local position bias."""

    slopes: Tensor

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(1, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        slopes = torch.tensor([2.0 ** -(i + 1) for i in range(heads)])
        self.register_buffer("slopes", slopes, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, width, length = x.shape
        q, k, v = (
            self.qkv(self.norm(x).transpose(1, 2))
            .reshape(batch, length, 3, self.heads, width // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        steps = torch.arange(length, device=x.device)
        distance = (steps[None] - steps[:, None]).abs()
        bias = -self.slopes[:, None, None] * distance
        attended = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q)[None])
        mixed = self.out(attended.transpose(1, 2).reshape(batch, length, width))
        return x + mixed.transpose(1, 2)


class TemporalTokenizer(
    MotionTokenizer,
    coders={TokenizerConfig: (asdict, lambda data: TokenizerConfig(**data))},
):
    """Hierarchical residual VQ-VAE over time (MoScale, arXiv 2604.03799).

    Two stride-2 stages give one latent for 4 frames; the latents are quantized at the scales of
    `config.divisors` with one codebook (`MultiScaleQuantizer`).

    Args:
        config: Sizes.
    """

    config: TokenizerConfig
    quantizer: MultiScaleQuantizer

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        width, depth, growth = config.width, config.depth, config.dilation_growth
        self.encoder = nn.Sequential(
            _Conv(NUM_FEATURES, width, 3, padding=1),
            nn.SiLU(),
            _Conv(width, width, 4, stride=2, padding=1),
            _residual_stack(width, depth, growth, reverse=True),
            _Conv(width, width, 4, stride=2, padding=1),
            _residual_stack(width, depth, growth, reverse=True),
            _TemporalAttention(width),
            _Conv(width, config.code_dim, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            _Conv(config.code_dim, width, 3, padding=1),
            _TemporalAttention(width),
            _residual_stack(width, depth, growth, reverse=True),
            nn.Upsample(scale_factor=2, mode="nearest"),
            _Conv(width, width, 3, padding=1),
            _residual_stack(width, depth, growth, reverse=True),
            nn.Upsample(scale_factor=2, mode="nearest"),
            _Conv(width, width, 3, padding=1),
            nn.Sequential(
                *_residual_stack(width, config.frame_depth, growth, reverse=True), nn.SiLU()
            ),
            _Conv(width, NUM_FEATURES, 3, padding=1),
        )
        self.quantizer = MultiScaleQuantizer(config.num_codes, config.code_dim, config.divisors)

    def encode_latents(self, normalized: Tensor) -> Tensor:
        """(B, T, 263) normalized features -> (B, T // 4, D) latents; T is a multiple of 4."""
        return self.encoder(normalized.transpose(1, 2)).transpose(1, 2)

    def decode_latents(self, latents: Tensor) -> Tensor:
        """(B, L, D) latents -> (B, 4 L, 263) normalized features."""
        return self.decoder(latents.transpose(1, 2)).transpose(1, 2)
