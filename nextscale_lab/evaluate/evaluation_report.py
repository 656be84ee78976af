"""Report of `nextscale evaluate`: metrics with intervals, as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nextscale_lab.evaluate.metrics import MetricValue


@dataclass(frozen=True)
class EvaluationRow:
    """Metrics of one kind of motion; None where a metric does not apply.

    Attributes:
        r_precision: Share of texts whose motion is among the nearest 1, 2, 3 of its pool.
        fid: Frechet distance to the recorded clips.
        mm_dist: Mean distance of text and motion.
        diversity: Mean distance of random motions.
        multimodality: Mean distance of motions of one text; models only.
        foot_skate_ratio: See `physics.Physics`, as for the other metrics of motion.
        contact_speed_mps: Speed of feet in contact [m/s].
        ground_penetration_mm: Depth below the floor [mm].
        jerk_mps3: Mean jerk [m/s^3].
        jerk_ratio: Jerk relative to the recorded clips.
        bone_deviation_mm: Variation of bone lengths [mm].
        angle_excess_deg: Mean bend of joints beyond the range of the recorded clips [deg].
        mpjpe_mm: Root-aligned error [mm]; reconstruction only.
        duration_error_s: Mean absolute error of the predicted duration over the captions [s];
            models that predict one only.
    """

    r_precision: tuple[MetricValue, MetricValue, MetricValue]
    fid: MetricValue
    mm_dist: MetricValue
    diversity: MetricValue
    foot_skate_ratio: MetricValue
    ground_penetration_mm: MetricValue
    jerk_mps3: MetricValue
    bone_deviation_mm: MetricValue
    angle_excess_deg: MetricValue
    multimodality: MetricValue | None = None
    contact_speed_mps: MetricValue | None = None
    jerk_ratio: MetricValue | None = None
    mpjpe_mm: MetricValue | None = None
    duration_error_s: MetricValue | None = None


@dataclass(frozen=True)
class EvaluationReport:
    """All rows with their settings.

    Attributes:
        real: Recorded clips against their own captions.
        reconstruction: The same clips through the tokenizer, if measured.
        models: Generated motion by name of the model.
        settings: Data, split, evaluator, repeats, seeds and counts.
    """

    real: EvaluationRow
    reconstruction: EvaluationRow | None
    models: Mapping[str, EvaluationRow]
    settings: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The whole report as JSON values."""
        return {
            "real": asdict(self.real),
            "reconstruction": asdict(self.reconstruction) if self.reconstruction else None,
            "models": {name: asdict(row) for name, row in self.models.items()},
            "settings": dict(self.settings),
        }

    def rows(self) -> dict[str, EvaluationRow]:
        """Rows by name, recorded motion first."""
        known = {"real": self.real}
        if self.reconstruction:
            known["reconstruction"] = self.reconstruction
        return known | dict(self.models)

    def tables(self) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        """Tables of text-motion metrics and of physics, each with its header first."""
        text: list[tuple[str, ...]] = [
            ("motion", "R top 1", "R top 2", "R top 3", "FID", "MM-Dist", "Diversity", "MModality")
        ]
        body: list[tuple[str, ...]] = [
            ("motion", "foot skating [%]", "speed in contact [m/s]", "below floor [mm]",
             "jerk / real", "bones vary [mm]", "bent beyond recorded [deg]", "MPJPE [mm]",
             "duration off [s]")
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
                    _cell(row.angle_excess_deg, 3),
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
            "± is the 95 % interval over the repeats."
        ]
        for header, *rows in self.tables():
            lines += ["", markdown_table(header, rows)]
        return "\n".join(lines)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _cell(figure: MetricValue | None, digits: int, factor: float = 1.0) -> str:
    if figure is None:
        return "-"
    mean = f"{factor * figure.mean:.{digits}f}"
    return f"{mean} ± {factor * figure.ci95:.{digits}f}" if figure.ci95 > 1e-12 else mean
