"""What `nextscale evaluate` found: figures with intervals, as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nextscale_lab.evaluate.metrics import Figure


@dataclass(frozen=True)
class EvaluationRow:
    """Figures of one kind of motion; None where a figure makes no sense.

    Attributes:
        r_precision: Share of texts whose motion is among the nearest 1, 2, 3 of its pool.
        fid: Frechet distance to the recorded clips.
        mm_dist: Mean distance of text and motion.
        diversity: Mean distance of random motions.
        multimodality: Mean distance of motions made from one text; models only.
        foot_skate_ratio: See `physics.Physics`.
        contact_speed_mps: See `physics.Physics` [m/s].
        ground_penetration_mm: See `physics.Physics` [mm].
        jerk_mps3: See `physics.Physics` [m/s^3].
        jerk_ratio: Jerk divided by that of the recorded clips.
        bone_deviation_mm: See `physics.Physics` [mm].
        mpjpe_mm: Root-aligned error of the reconstruction [mm]; reconstruction only.
        duration_error_s: Mean distance of the duration that the model chooses for a caption
            to the recording's [s], over the captions; models that choose one only.
    """

    r_precision: tuple[Figure, Figure, Figure]
    fid: Figure
    mm_dist: Figure
    diversity: Figure
    multimodality: Figure | None
    foot_skate_ratio: Figure
    contact_speed_mps: Figure | None
    ground_penetration_mm: Figure
    jerk_mps3: Figure
    jerk_ratio: Figure | None
    bone_deviation_mm: Figure
    mpjpe_mm: Figure | None = None
    duration_error_s: Figure | None = None


@dataclass(frozen=True)
class EvaluationReport:
    """All rows and how they were computed.

    Attributes:
        real: Recorded clips against their own captions.
        reconstruction: The same clips through the tokenizer; None when not asked for.
        models: Name -> generated motion.
        settings: Data, split, evaluator, repeats, seeds and counts.
    """

    real: EvaluationRow
    reconstruction: EvaluationRow | None
    models: Mapping[str, EvaluationRow]
    settings: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary with everything in it."""
        return {
            "real": asdict(self.real),
            "reconstruction": asdict(self.reconstruction) if self.reconstruction else None,
            "models": {name: asdict(row) for name, row in self.models.items()},
            "settings": dict(self.settings),
        }

    def rows(self) -> dict[str, EvaluationRow]:
        """Name -> row, recorded motion first."""
        known = {"real": self.real}
        if self.reconstruction:
            known["reconstruction"] = self.reconstruction
        return known | dict(self.models)

    def tables(self) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        """Two tables, header first: how well motion fits its text, and its physics."""
        text: list[tuple[str, ...]] = [
            ("motion", "R top 1", "R top 2", "R top 3", "FID", "MM-Dist", "Diversity", "MModality")
        ]
        body: list[tuple[str, ...]] = [
            ("motion", "foot skating [%]", "speed in contact [m/s]", "below floor [mm]",
             "jerk / real", "bones vary [mm]", "MPJPE [mm]", "duration off [s]")
        ]  # fmt: skip
        for name, row in self.rows().items():
            fits = (*row.r_precision, row.fid, row.mm_dist, row.diversity, row.multimodality)
            text.append((name, *(_cell(figure, 3) for figure in fits)))
            body.append(
                (
                    name,
                    _cell(row.foot_skate_ratio, 1, 100),
                    _cell(row.contact_speed_mps, 3),
                    _cell(row.ground_penetration_mm, 1),
                    _cell(row.jerk_ratio, 2),
                    _cell(row.bone_deviation_mm, 1),
                    _cell(row.mpjpe_mm, 1),
                    _cell(row.duration_error_s, 2),
                )
            )
        return text, body

    def markdown(self) -> str:
        """Both tables and the settings in Markdown."""
        s = self.settings
        lines = [
            f"{s['data']}, {s['split']}: {s['clips']} clips, evaluator {s['evaluator']}, pools of "
            f"{s['pool_size']}, {s['repeats']} repeats, {s['generations']} generations per clip; "
            "± is the 95 % interval over the repeats.",
        ]
        for header, *rows in self.tables():
            lines += ["", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
            lines += ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join(lines)


def _cell(figure: Figure | None, digits: int, factor: float = 1.0) -> str:
    if figure is None:
        return "-"
    mean = f"{factor * figure.mean:.{digits}f}"
    return f"{mean} ± {factor * figure.ci95:.{digits}f}" if figure.ci95 > 1e-12 else mean
