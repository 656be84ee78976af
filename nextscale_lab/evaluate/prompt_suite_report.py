"""Report of the prompt suite: pass rates per sentence and per kind, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nextscale_lab.evaluate.evaluation_report import markdown_table


@dataclass(frozen=True)
class SampleResult:
    """One generated motion against its check.

    Attributes:
        sentence: The prompt.
        kind: Group of the sentence.
        seed: Seed of the sample.
        passed: Result of the check.
        figures: Measured values of the check.
    """

    sentence: str
    kind: str
    seed: int
    passed: bool
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RealRate:
    """Result of a check on recorded clips.

    Attributes:
        passed: Number of clips that pass.
        count: Number of clips whose captions match the sentence.
        failures: Ids of the clips that fail.
    """

    passed: int
    count: int
    failures: tuple[str, ...] = ()

    @property
    def rate(self) -> float | None:
        """Share of clips that pass; None without clips."""
        return self.passed / self.count if self.count else None


@dataclass(frozen=True)
class PromptSuiteReport:
    """All samples of a model, with rates on recorded clips.

    Attributes:
        model: Name of the model.
        samples: All samples, sentence by sentence.
        real: Rate on recorded clips by sentence, if measured.
    """

    model: str
    samples: tuple[SampleResult, ...]
    real: Mapping[str, RealRate] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Share of all samples that pass."""
        return _rate(self.samples)

    @property
    def by_sentence(self) -> dict[str, float]:
        """Share of samples that pass, by sentence."""
        return self._grouped(lambda sample: sample.sentence)

    @property
    def by_kind(self) -> dict[str, float]:
        """Share of samples that pass, by kind."""
        return self._grouped(lambda sample: sample.kind)

    def with_real(self, real: Mapping[str, RealRate]) -> PromptSuiteReport:
        """The same report with rates on recorded clips."""
        return replace(self, real=real)

    def to_dict(self) -> dict[str, Any]:
        """The whole report as JSON values."""
        sentences = []
        for sentence, rate in self.by_sentence.items():
            samples = [s for s in self.samples if s.sentence == sentence]
            results = [
                {
                    "seed": s.seed,
                    "passed": s.passed,
                    "figures": {name: round(float(v), 4) for name, v in s.figures.items()},
                }
                for s in samples
            ]
            entry: dict[str, Any] = {"sentence": sentence, "kind": samples[0].kind, "rate": rate}
            entry["samples"] = results
            if sentence in self.real:
                real = self.real[sentence]
                entry["real"] = {
                    "rate": real.rate,
                    "count": real.count,
                    "failures": list(real.failures),
                }
            sentences.append(entry)
        return {
            "model": self.model,
            "rate": self.rate,
            "samples": len(self.samples),
            "kinds": self.by_kind,
            "sentences": sentences,
        }

    def rows(self) -> list[tuple[str, ...]]:
        """Table: header, one row per sentence, one per kind, one for all."""
        header = ("sentence", "kind", "passed", "real clips")
        rows: list[tuple[str, ...]] = [header]
        kinds = {s.sentence: s.kind for s in self.samples}
        for sentence, kind in kinds.items():
            own = [s for s in self.samples if s.sentence == sentence]
            rows.append((sentence, kind, _share(own), _real(self.real.get(sentence))))
        for kind in dict.fromkeys(kinds.values()):
            rows.append(("", kind, _share([s for s in self.samples if s.kind == kind]), ""))
        rows.append(("all", "", _share(list(self.samples)), ""))
        return rows

    def markdown(self) -> str:
        """The table in Markdown."""
        header, *body = self.rows()
        return markdown_table(header, body)

    def _grouped(self, key: Callable[[SampleResult], str]) -> dict[str, float]:
        groups: dict[str, list[SampleResult]] = {}
        for sample in self.samples:
            groups.setdefault(key(sample), []).append(sample)
        return {name: _rate(tuple(group)) for name, group in groups.items()}


def _rate(samples: tuple[SampleResult, ...]) -> float:
    return sum(s.passed for s in samples) / len(samples) if samples else 0.0


def _share(samples: list[SampleResult]) -> str:
    passed = sum(s.passed for s in samples)
    return f"{passed}/{len(samples)} ({100 * passed / max(len(samples), 1):.0f} %)"


def _real(real: RealRate | None) -> str:
    if real is None or real.rate is None:
        return "none"
    return f"{real.passed}/{real.count} ({100 * real.rate:.0f} %)"
