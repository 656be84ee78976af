"""Tokenizers and generators by the `kind` in their `config.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from torch import nn

from nextscale_core.exceptions import ModelLoadError
from nextscale_core.model.checkpoint import CONFIG, load_part, read_json
from nextscale_core.model.moscale import MoScale
from nextscale_core.model.next_scale import NextScaleTransformer
from nextscale_core.model.scalemogen import ScaleMoGen
from nextscale_core.model.skeletal_tokenizer import SkeletalTokenizer
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
from nextscale_core.model.tokenizer import MotionTokenizer

TOKENIZERS: dict[str, type[MotionTokenizer]] = {
    "temporal": TemporalTokenizer,
    "skeletal": SkeletalTokenizer,
}
GENERATORS: dict[str, type[NextScaleTransformer]] = {"moscale": MoScale, "scalemogen": ScaleMoGen}

_Part = TypeVar("_Part", bound=nn.Module)


def load_tokenizer(folder: Path | str) -> MotionTokenizer:
    """Load a tokenizer of any kind; see `load_part`.

    A `config.json` without a `kind` means 'temporal'.

    Raises:
        ModelLoadError: an unknown kind, or damaged files.
    """
    return _load(TOKENIZERS, "temporal", Path(folder))


def load_generator(folder: Path | str) -> NextScaleTransformer:
    """Load a generator of any kind; see `load_part`.

    A `config.json` without a `kind` means 'moscale'.

    Raises:
        ModelLoadError: an unknown kind, or damaged files.
    """
    return _load(GENERATORS, "moscale", Path(folder))


def check_fit(tokenizer: MotionTokenizer, generator: NextScaleTransformer) -> None:
    """Check that a generator predicts the tokens of a tokenizer.

    Raises:
        ModelLoadError: other scales, groups of body parts, or sizes of tokens.
    """
    quantizer, config = tokenizer.quantizer, generator.config
    schedule, head = quantizer.schedule, generator.heads_out[0]
    groups = getattr(config, "groups", (((0,),),) * config.num_scales)
    own = (config.num_scales, groups, config.code_dim, head.out_features)
    wanted = (schedule.num_scales, schedule.groups, quantizer.dim, quantizer.logits)
    names = ("scales", "groups of body parts", "numbers in a code", "logits")
    for name, one, other in zip(names, own, wanted, strict=True):
        if one != other:
            raise ModelLoadError(
                f"the generator is for another tokenizer: it has {one} {name}, this one {other}"
            )


def _load(kinds: dict[str, type[_Part]], default: str, folder: Path) -> _Part:
    path = folder / CONFIG
    kind = str(read_json(path).get("kind", default)) if path.is_file() else default
    if kind not in kinds:
        raise ModelLoadError(
            f"{path}: unknown kind {kind[:80]!r}; known here: {', '.join(kinds)}. The folder may "
            "be of a newer version of nextscale"
        )
    return load_part(kinds[kind], folder)
