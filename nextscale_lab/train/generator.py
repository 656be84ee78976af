"""Training of the generators: MoScale, and ScaleMoGen on tokenizers of body parts."""

from __future__ import annotations

import logging
from dataclasses import asdict, fields, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.binary_quantizer import BinaryQuantizer
from nextscale_core.model.checkpoint import load_part
from nextscale_core.model.kinds import load_generator, load_tokenizer
from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.model.next_scale import NextScaleConfig, NextScaleTransformer
from nextscale_core.model.quantizer import MultiScaleQuantizer, Quantizer
from nextscale_core.model.scalemogen import ScaleMoGen, ScaleMoGenConfig
from nextscale_core.model.scales import ScaleSchedule
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
from nextscale_core.motion.formats.bad_data import on_bad_data
from nextscale_core.text.encoder import TextEncoder
from nextscale_lab.data.samples import Folders, captioned_samples, folder_names
from nextscale_lab.train.code_matching import match_codes
from nextscale_lab.train.duration import teach_duration
from nextscale_lab.train.library import LibraryConfig, open_libraries
from nextscale_lab.train.loop import RunConfig, Trainer
from nextscale_lab.train.objective import (
    SCALEMOGEN_OBJECTIVE,
    ObjectiveConfig,
    evaluate_generator,
    generator_loss,
)
from nextscale_lab.train.run import weights_digest

_LOG = logging.getLogger(__name__)


def generator_config(
    quantizer: Quantizer, sizes: NextScaleConfig | None = None, *, own_tokens: bool = True
) -> NextScaleConfig:
    """Config of the generator for a tokenizer's tokens.

    Args:
        quantizer: The tokenizer's quantizer; with bits the generator is a `ScaleMoGen`, else a
            `MoScale`.
        sizes: Width, depth, heads, dropout and text encoder.
        own_tokens: See `ScaleMoGenConfig`.
    """
    names = {field.name for field in fields(NextScaleConfig)}
    values = {k: v for k, v in asdict(sizes or NextScaleConfig()).items() if k in names}
    schedule = quantizer.schedule
    values |= {"code_dim": quantizer.dim, "num_scales": schedule.num_scales}
    if isinstance(quantizer, BinaryQuantizer):
        return ScaleMoGenConfig(**values, groups=schedule.groups, own_tokens=own_tokens)
    return MoScaleConfig(**values, num_codes=quantizer.logits)


def _fresh(config: NextScaleConfig, quantizer: Quantizer) -> NextScaleTransformer:
    if isinstance(config, ScaleMoGenConfig):
        return ScaleMoGen(config)
    assert isinstance(config, MoScaleConfig) and isinstance(quantizer, MultiScaleQuantizer)
    model = MoScale(config)
    with torch.no_grad():
        # Initialise codes from the tokenizer; [MASK] keeps its own initialisation.
        model.code_embedding.weight[:-1] = quantizer.codebook
    return model


def _started(folder: Path, wanted: NextScaleConfig) -> NextScaleTransformer:
    """A generator that begins with trained weights, of its own kind or of the other."""
    if isinstance(wanted, MoScaleConfig):
        return _from_weights(folder, wanted)
    assert isinstance(wanted, ScaleMoGenConfig)
    trained = load_generator(folder)
    own = {name: getattr(trained.config, name) for name in ("width", "depth", "heads", "dropout")}
    if trained.config.text_dim != wanted.text_dim:
        raise ConfigError(
            f"{folder} has text_dim {trained.config.text_dim}, this text needs {wanted.text_dim}"
        )
    model = ScaleMoGen(replace(wanted, **own))
    state = model.state_dict()
    fitting = {
        name: value
        for name, value in trained.state_dict().items()
        if name in state and value.shape == state[name].shape
    }
    model.load_state_dict(fitting, strict=False)
    _LOG.info("%d of %d tensors from %s", len(fitting), len(state), folder)
    return model


def _from_weights(folder: Path, wanted: MoScaleConfig) -> MoScale:
    """A trained generator for the codes of the tokenizer in use.

    Scales that it lacks begin with the embedding and the head of its finest one.
    """
    model = load_part(MoScale, folder)
    for name in ("num_codes", "code_dim", "text_dim"):
        own, other = getattr(model.config, name), getattr(wanted, name)
        if own != other:
            raise ConfigError(f"{folder} has {name} {own}, this tokenizer and text need {other}")
    own, other = model.config.num_scales, wanted.num_scales
    if own > other:
        raise ConfigError(f"{folder} has {own} scales, this tokenizer only {other}")
    if own == other:
        return model
    longer = MoScale(replace(model.config, num_scales=other))
    state = model.state_dict()
    state["level"] = torch.cat([model.level, model.level[-1:].expand(other - own, -1)])
    for name in ("weight", "bias"):
        for scale in range(own, other):
            state[f"heads_out.{scale}.{name}"] = state[f"heads_out.{own - 1}.{name}"]
    longer.load_state_dict(state)
    return longer


def default_objective(quantizer: Quantizer) -> ObjectiveConfig:
    """Settings of the objective for codes or for bits."""
    return SCALEMOGEN_OBJECTIVE if isinstance(quantizer, BinaryQuantizer) else ObjectiveConfig()


def _least_scales(schedule: ScaleSchedule) -> int:
    """Scales of every step: one of each time resolution; of body parts all but the two finest."""
    distinct = len(set(schedule.divisors))
    return min(distinct, max(1, schedule.num_scales - 2)) if schedule.parts > 1 else distinct


def train_generator(
    data: Folders,
    tokenizer_path: str | Path,
    run: RunConfig,
    config: NextScaleConfig | None = None,
    objective: ObjectiveConfig | None = None,
    *,
    library: LibraryConfig | None = None,
    cache: Path | None = None,
    initial: Path | None = None,
    initial_tokenizer: Path | None = None,
) -> dict[str, float]:
    """Train a generator on the train split of a data folder with a frozen tokenizer.

    Args:
        data: CMU or HumanML3D folders.
        tokenizer_path: Folder of a trained tokenizer, which decides the kind of the generator.
        run: Settings of the run.
        config: Sizes and `own_tokens`; the others are the tokenizer's, see `generator_config`.
        objective: Settings of the loss; None for the defaults of the generator's kind.
        library: Content of the training library.
        cache: Folder that keeps the encoded library for later runs.
        initial: Folder of a generator to continue from; its sizes replace `config`. A ScaleMoGen
            takes what fits of any generator: blocks, text and duration of a MoScale.
        initial_tokenizer: Folder of the tokenizer that a MoScale was trained with; None where that
            is `tokenizer_path`. See `match_codes`.

    Returns:
        Validation metrics of the last weights. `run.out/best` holds the weights with the
        lowest validation cross-entropy, `run.out/last` the last ones.
    """
    tokenizer = load_tokenizer(tokenizer_path).eval().requires_grad_(False)
    config = generator_config(
        tokenizer.quantizer, config, own_tokens=getattr(config, "own_tokens", True)
    )
    objective = objective or default_objective(tokenizer.quantizer)
    encoder = TextEncoder(config.text_encoder)
    config = replace(config, text_dim=encoder.dim)
    source, val = open_libraries(data, tokenizer, encoder, run, library, cache)
    torch.manual_seed(run.seed)
    if initial is None:
        model = _fresh(config, tokenizer.quantizer)
    else:
        model = _started(initial, config)
        if initial_tokenizer is not None:
            if not isinstance(model, MoScale) or not isinstance(tokenizer, TemporalTokenizer):
                raise ConfigError("initial_tokenizer is for MoScale on a temporal tokenizer only")
            old = load_part(TemporalTokenizer, initial_tokenizer).eval()
            with on_bad_data(run.on_bad_data):
                match_codes(model, old, tokenizer, captioned_samples(data, "train"))
    teach_duration(model, data, encoder, table=source.table, policy=run.on_bad_data)

    least = _least_scales(tokenizer.quantizer.schedule)

    def loss(module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        shard = trainer.shard
        drawn = source.draw(run.batch_size, shard.rank, shard.processes)
        batch = drawn.to(trainer.accelerator.device)
        scales = None
        if source.rng.random() >= objective.finest_every and least < config.num_scales:
            scales = int(source.rng.integers(least, config.num_scales))
        return generator_loss(module, trainer.bare, quantizer, batch, objective, scales=scales)

    def evaluate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, NextScaleTransformer)
        return evaluate_generator(module, quantizer, val)

    about = {
        "objective": objective,
        "library": library or LibraryConfig(),
        "data": folder_names(data),
        "tokenizer": weights_digest(tokenizer),
        "initial": initial.resolve().name if initial else None,
    }
    trainer = Trainer(
        model, run, loss, evaluate, better="ce", stateful={"library": source}, about=about
    )
    quantizer = tokenizer.quantizer.to(trainer.accelerator.device)
    return trainer.fit()
