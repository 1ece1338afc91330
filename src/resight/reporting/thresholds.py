"""The calibrated threshold: how alike same and different individuals look, and what is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resight.evaluation.rates import Rate
from resight.evaluation.threshold import Threshold
from resight.reporting.curves import Chart
from resight.reporting.histograms import histogram_chart

COARSER = 4
FEW_PARTS = 64

TITLE = "Similarity of pairs of crops"
HINT = (
    "Shares of the pairs of one individual and of the pairs of two, by similarity. The less the "
    "hills overlap, the better; pairs right of the dotted line are accepted as one individual."
)


@dataclass(frozen=True)
class ErrorRate:
    """A kind of error with its share, the interval of it, and how many pairs that rests on."""

    name: str
    meaning: str
    share: str
    interval: str
    errors: int
    pairs: int


@dataclass(frozen=True)
class Calibrated:
    """The threshold for readers; source: what told who is who."""

    chart: Chart
    similarity: str
    distance: str
    wanted: str
    source: str
    rates: tuple[ErrorRate, ...]
    notes: tuple[str, ...]


def calibrated(threshold: Threshold | None) -> Calibrated | None:
    """The chart and the figures of a threshold, None without one."""
    if threshold is None:
        return None
    source = f"{threshold.crops:,} crops of {threshold.identities:,} {_individuals(threshold)}"
    cameras = ", pairs of different cameras only" if threshold.cross_camera else ""
    return Calibrated(
        chart=_chart(threshold),
        similarity=f"{threshold.similarity:.3f}",
        distance=f"{threshold.distance:.3f}",
        wanted=percent(threshold.far),
        source=source + cameras,
        rates=(
            _rate("false accepts", "two individuals taken for one", threshold.false_accept),
            _rate("false rejects", "one individual taken for two", threshold.false_reject),
        ),
        notes=threshold.notes,
    )


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage: one decimal, below 1% two digits.

    >>> percent(0.1234), percent(0.00098), percent(1)
    ('12.3%', '0.098%', '100.0%')
    """
    value = 100 * share
    return f"{value:.1f}%" if value >= 1 else f"{value:.2g}%"


def _individuals(threshold: Threshold) -> str:
    return "individuals" if threshold.source == "identities" else "pseudo-labels"


def _chart(threshold: Threshold) -> Chart:
    shares = {
        "two individuals": _shares(threshold.impostor),
        "one individual": _shares(threshold.genuine),
    }
    held = [i for i in range(len(threshold.genuine)) if any(part[i] for part in shares.values())]
    if held[-1] - held[0] >= FEW_PARTS:
        shares = {name: _coarse(parts) for name, parts in shares.items()}
    svg = histogram_chart(
        shares,
        title=TITLE,
        x_name="cosine similarity",
        unit="%",
        mark=(threshold.similarity, "threshold"),
    )
    return Chart(TITLE, HINT, svg)


def _shares(counts: Sequence[int]) -> list[float]:
    """Percent of all."""
    total = sum(counts) or 1
    return [100 * count / total for count in counts]


def _coarse(parts: Sequence[float]) -> list[float]:
    return [sum(parts[i : i + COARSER]) for i in range(0, len(parts), COARSER)]


def _rate(name: str, meaning: str, rate: Rate) -> ErrorRate:
    share = percent(rate.errors / rate.pairs) if rate.pairs else "–"
    interval = f"{percent(rate.low)} – {percent(rate.high)}"
    return ErrorRate(name, meaning, share, interval, rate.errors, rate.pairs)
