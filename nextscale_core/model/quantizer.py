"""Multi-scale residual vector quantization with one codebook for all scales."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextscale_core.model.distributed import GlobalRows, from_main, summed
from nextscale_core.model.drawing import SampleNoise, draw_codes
from nextscale_core.model.scales import PaddedScales, ScaleSchedule, area_matrix, linear_matrix

_SPREAD = 1.0
"""Expected squared distance between the mean of half a token's span and that of the whole span.

Measured as the joint error in the 0.5 s after a known second, on training clips. 40 clips: 15.4 cm
where such tokens are generated freely, 14.5 cm where the recorded sum replaces the generated one
over the known latents before each scale, 12.5 cm with a spread of 10. 30 other clips: 14.5, 11.6,
9.8 cm with 10, 3, 1. 36 others: 8.5, 8.4 cm with 1, 0.3.
"""


@dataclass(frozen=True)
class Quantized:
    """Result of quantizing a batch of latents.

    Attributes:
        latents: (B, L, P x D) sum of all scales' contributions; gradients pass straight through.
        tokens: One (B, N_k) long tensor per scale, coarse to fine.
        commitment: Loss that pulls the latents to what tokens can represent (scalar).
    """

    latents: Tensor
    tokens: tuple[Tensor, ...]
    commitment: Tensor


class Quantizer(nn.Module):
    """What sampling, completion and training need of a tokenizer's quantizer.

    A token is an integer. Latents are (L, P x D) for P body parts, see `ScaleSchedule`.

    Attributes:
        schedule: Time and body resolution of the scales.
        dim: Width D of a token's vector.
    """

    schedule: ScaleSchedule
    dim: int

    @property
    @abstractmethod
    def logits(self) -> int:
        """Number of logits that a token is predicted with."""

    @abstractmethod
    def nearest(self, vectors: Tensor) -> Tensor:
        """(..., D) vectors -> (...) tokens."""

    @abstractmethod
    def vectors(self, tokens: Tensor) -> Tensor:
        """(...) tokens -> (..., D)."""

    @abstractmethod
    def contribution(self, tokens: Tensor, scale: int, padded: PaddedScales) -> Tensor:
        """(B, N_k) tokens of one scale -> (B, L, P x D) summand of the latents, 0 on padding."""

    @abstractmethod
    def forward(
        self, latents: Tensor, temperature: float = 0.0, scales: int | None = None
    ) -> Quantized:
        """Quantize a batch of equally long clips.

        Args:
            latents: (B, L, P x D) encoder output.
            temperature: Temperature of the draw of tokens in training; 0 takes the nearest.
            scales: Number of scales used (quantizer dropout, metrics by scale); None for all.

        Returns:
            The quantized latents, tokens and the quantizer's own loss.
        """

    @abstractmethod
    def accumulate(self, tokens: tuple[Tensor, ...] | list[Tensor], latents: int) -> Tensor:
        """(B, N_k) tokens of the coarsest scales -> (B, L, P x D) sum of their contributions."""

    @abstractmethod
    def corrupt(self, tokens: Tensor, share: Tensor) -> Tensor:
        """Tokens with errors, for training.

        Args:
            tokens: (B, N) tokens.
            share: (B,) share of each sample that is replaced.
        """

    @abstractmethod
    def evidence(self, mean: Tensor, share: Tensor, scale: int) -> Tensor:
        """Summand of the logits of partly known tokens.

        Args:
            mean: (N, D) mean of the known part.
            share: (N,) known share in [0, 1).
            scale: Index k.

        Returns:
            (N, `logits`), 0 where the share is 0.
        """

    @abstractmethod
    def draw(
        self, logits: Tensor, temperature: float, top_p: float, noise: SampleNoise
    ) -> tuple[Tensor, Tensor]:
        """Sample tokens.

        Args:
            logits: (B, N, `logits`) float.
            temperature: Temperature of the logits.
            top_p: Probability mass kept by nucleus sampling.
            noise: Random numbers of each sample.

        Returns:
            (B, N) tokens, and (B, N) confidence: the log-probability of each token.
        """


class MultiScaleQuantizer(Quantizer):
    r"""Coarse-to-fine residual quantization (MoScale, section "tokenizer"; VAR, algorithm 1).

    With residual r_0 = z and sum s_0 = 0, at every scale k

        q_k = nearest code of down_k(r_{k-1});  u_k = phi_k(up_k(q_k))
        r_k = r_{k-1} - u_k;                    s_k = s_{k-1} + u_k

    where down_k averages the span of each token and up_k interpolates linearly.

    Args:
        num_codes: Size of the shared codebook.
        dim: Width D of a code.
        divisors: Temporal divisor of each scale, coarse to fine.
        decay: Decay of the codebook's moving averages.
    """

    codebook: Tensor
    code_count: Tensor
    code_sum: Tensor
    usage: Tensor
    initialized: Tensor

    def __init__(
        self, num_codes: int, dim: int, divisors: tuple[int, ...], decay: float = 0.99
    ) -> None:
        super().__init__()
        self.num_codes, self.dim, self.decay = num_codes, dim, decay
        self.schedule = ScaleSchedule(divisors)
        convs = [nn.Conv1d(dim, dim, 3, padding=1) for _ in divisors]
        for conv in convs:
            for parameter in conv.parameters():
                nn.init.zeros_(parameter)
        self.phi = nn.ModuleList(convs)
        self.register_buffer("codebook", torch.randn(num_codes, dim) * 0.02)
        self.register_buffer("code_count", torch.ones(num_codes), persistent=False)
        self.register_buffer("code_sum", torch.zeros(num_codes, dim), persistent=False)
        self.register_buffer("usage", torch.ones(num_codes), persistent=False)
        self.register_buffer("initialized", torch.tensor(False), persistent=False)

    @property
    def logits(self) -> int:
        """One logit for each code."""
        return self.num_codes

    def upsample(self, codes: Tensor, scale: int, latents: int) -> Tensor:
        """Contribution u_k of one scale: (B, n_k, D) codes -> (B, L, D) latents."""
        up = linear_matrix(codes.shape[1], latents).to(codes)
        raised = torch.einsum("ln,bnd->bld", up, codes)
        refined = self.phi[scale](raised.transpose(1, 2)).transpose(1, 2)
        return raised + 0.5 * refined

    def contribution(self, tokens: Tensor, scale: int, padded: PaddedScales) -> Tensor:
        """Contribution u_k of one scale to a batch of clips of different lengths.

        Args:
            tokens: (B, n_k) indices; those on padding are ignored.
            scale: Index k of the scale.
            padded: Masks and maps of the batch.

        Returns:
            (B, L, D), zero on padding, equal to `upsample` of each clip alone.
        """
        raised = padded.up(scale, self.vectors(tokens))
        refined = self.phi[scale](raised.transpose(1, 2)).transpose(1, 2)
        return (raised + 0.5 * refined) * padded.latent_mask[..., None]

    def nearest(self, vectors: Tensor, temperature: float = 0.0) -> Tensor:
        """(..., D) vectors -> (...) index of the nearest code, or of one sampled near it.

        With a temperature, codes are sampled with logits -distance^2 / (temperature x mean
        squared distance to the nearest code), so that training explores the codebook.
        """
        flat = vectors.reshape(-1, self.dim).float()
        book = self.codebook.float()
        distance = (
            flat.square().sum(1, keepdim=True) - 2 * flat @ book.T + book.square().sum(1)[None]
        )
        if temperature > 0:
            spread = distance.min(1).values.mean().clamp(min=1e-6) * temperature
            noise = -torch.empty_like(distance).exponential_().log()
            index = (-distance / spread + noise).argmax(1)
        else:
            index = distance.argmin(1)
        return index.reshape(vectors.shape[:-1])

    def forward(
        self, latents: Tensor, temperature: float = 0.0, scales: int | None = None
    ) -> Quantized:
        """Quantize a batch of equally long clips.

        Args:
            latents: (B, L, D) encoder output.
            temperature: Temperature of the code sampling in training; 0 takes the nearest.
            scales: Number of scales used (quantizer dropout, metrics by scale); None for all.

        Returns:
            The quantized latents, tokens and commitment loss.
        """
        length = latents.shape[1]
        residual, total = latents, torch.zeros_like(latents)
        tokens: list[Tensor] = []
        commitment = latents.new_zeros(())
        seen: list[tuple[Tensor, Tensor]] = []
        count = self.schedule.num_scales if scales is None else scales
        for scale in range(count):
            n = self.schedule.tokens(length)[scale]
            down = area_matrix(length, n).to(latents)
            coarse = torch.einsum("nl,bld->bnd", down, residual)
            if self.training and not bool(self.initialized):
                self._initialize(coarse.detach())
            index = self.nearest(coarse.detach(), temperature if self.training else 0.0)
            codes = F.embedding(index, self.codebook).to(latents.dtype)
            seen.append((coarse.detach(), index))
            raised = self.upsample(codes, scale, length)
            total = total + raised
            residual = residual - raised
            # The commitment loss pulls the encoder to what the codes so far can represent.
            commitment = commitment + F.mse_loss(total.detach(), latents)
            tokens.append(index)
        if self.training:
            self._update(seen)
        # Straight-through gradient for the encoder; phi learns from the reconstruction.
        out = total + (latents - latents.detach())
        return Quantized(out, tuple(tokens), commitment / count)

    def accumulate(self, tokens: tuple[Tensor, ...] | list[Tensor], latents: int) -> Tensor:
        """(B, L, D) sum of the contributions of the given scales (coarse to fine)."""
        first = tokens[0]
        total = self.codebook.new_zeros(first.shape[0], latents, self.dim)
        for scale, index in enumerate(tokens):
            total = total + self.upsample(self.vectors(index), scale, latents)
        return total

    def vectors(self, tokens: Tensor) -> Tensor:
        """(...) indices -> (..., D) codes."""
        return F.embedding(tokens, self.codebook)

    def corrupt(self, tokens: Tensor, share: Tensor) -> Tensor:
        """Replace a share (B,) of the tokens (B, N) by random ones."""
        replaced = torch.rand(tokens.shape, device=tokens.device) < share[:, None]
        random = torch.randint(self.num_codes, tokens.shape, device=tokens.device)
        return torch.where(replaced, random, tokens)

    def evidence(self, mean: Tensor, share: Tensor, scale: int) -> Tensor:
        """(N, C) logarithm of a Gaussian around the mean of the known part; see `Quantizer`.

        Where a share c of a token's span is known, with mean m, the mean of the whole span is
        expected at a squared distance of about (1 - c) / c x `_SPREAD` from m.
        """
        distance = torch.cdist(mean, self.codebook).square()
        return -(share / (1 - share))[:, None] * distance / (2 * _SPREAD)

    def draw(
        self, logits: Tensor, temperature: float, top_p: float, noise: SampleNoise
    ) -> tuple[Tensor, Tensor]:
        """Codes by nucleus sampling; see `Quantizer`."""
        return draw_codes(logits, temperature, top_p, noise)

    @torch.no_grad()
    def keep_codes(self) -> None:
        """Let training go on from the present codes, in place of codes of its first batch."""
        # About the steady count of a code in a batch of a few thousand tokens.
        self.code_count.fill_(8.0)
        self.usage.fill_(8.0)
        self.code_sum.copy_(self.codebook * self.code_count[:, None])
        self.initialized.fill_(True)

    @torch.no_grad()
    def _initialize(self, vectors: Tensor) -> None:
        rows = GlobalRows([vectors.reshape(-1, self.dim).float()])
        picked = rows.pick(self.num_codes)
        noise = from_main(torch.randn(self.num_codes, self.dim).to(picked))
        codes = picked + 0.01 * rows.spread() * noise
        self.codebook.copy_(codes)
        self.code_sum.copy_(codes)
        self.initialized.fill_(True)

    @torch.no_grad()
    def _update(self, seen: list[tuple[Tensor, Tensor]]) -> None:
        """Move every code to the moving average of the vectors that chose it; replace dead codes.

        Distributed processes use the sums over the whole batch, so their codebooks stay identical.
        """
        chunks = [vectors.reshape(-1, self.dim).float() for vectors, _ in seen]
        flat, index = torch.cat(chunks), torch.cat([chosen.reshape(-1) for _, chosen in seen])
        count = summed(torch.bincount(index, minlength=self.num_codes).to(flat))
        total = summed(torch.zeros_like(self.code_sum).index_add_(0, index, flat))
        self.code_count.mul_(self.decay).add_(count, alpha=1 - self.decay)
        self.code_sum.mul_(self.decay).add_(total, alpha=1 - self.decay)
        self.codebook.copy_(self.code_sum / self.code_count.clamp(min=1e-5)[:, None])
        self.usage.mul_(self.decay).add_(count, alpha=1 - self.decay)
        dead = (self.usage < 0.03).nonzero()[:, 0]
        if len(dead):
            pick = GlobalRows(chunks).pick(len(dead))
            self.codebook[dead] = pick
            self.code_sum[dead] = pick
            self.code_count[dead] = 1.0
            self.usage[dead] = 0.3
