"""What the figures of a run are called, and how their values are written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WHOLE = 999.5
_TENTH = 0.1
_MINUTE = 59.95


@dataclass(frozen=True)
class Quantity:
    """A figure's name for readers; its values are shown times `factor`, followed by `unit`."""

    name: str
    unit: str = ""
    factor: float = 1.0

    @property
    def heading(self) -> str:
        """The name with a capital letter, unless it is an acronym."""
        is_plain = self.name == self.name.lower()
        return self.name[:1].upper() + self.name[1:] if is_plain else self.name

    def text(self, value: float) -> str:
        """The value as it was logged, in this quantity's unit."""
        return short(value * self.factor, self.unit)


_KNOWN = {
    "mAP": Quantity("mAP", "%"),
    "mAP_market": Quantity("mAP, Market-1501 rule", "%"),
    "mINP": Quantity("mINP", "%"),
    "clusters": Quantity("clusters"),
    "outliers": Quantity("outliers"),
    "outlier_share": Quantity("outliers", "%", 100),
    "mean_size": Quantity("mean cluster size"),
    "median_size": Quantity("median cluster size"),
    "silhouette": Quantity("silhouette"),
    "camera_entropy": Quantity("camera entropy", " bits"),
    "across_cameras": Quantity("clusters across cameras", "%", 100),
    "agreement": Quantity("agreement"),
    "ari": Quantity("adjusted Rand index"),
    "nmi": Quantity("mutual information"),
    "precision": Quantity("precision", "%", 100),
    "recall": Quantity("recall", "%", 100),
    "f1": Quantity("F1", "%", 100),
    "homogeneity": Quantity("homogeneity"),
    "completeness": Quantity("completeness"),
    "bcubed_precision": Quantity("BCubed precision", "%", 100),
    "bcubed_recall": Quantity("BCubed recall", "%", 100),
    "bcubed_f1": Quantity("BCubed F1", "%", 100),
    "noisy_share": Quantity("noisy crops", "%", 100),
    "identity_consistency": Quantity("identity consistency", "%", 100),
    "identity_consistency_anchors": Quantity("identity consistency of anchors", "%", 100),
    "identity_camera_entropy": Quantity("camera entropy of identities", " bits"),
    "loss": Quantity("loss"),
    "lr": Quantity("learning rate"),
}


def quantity(key: str) -> Quantity:
    """The quantity behind a key of the log or of an evaluation; any key has one."""
    rank = re.fullmatch(r"rank(\d+)", key)
    if rank:
        return Quantity(f"Rank-{rank[1]}", "%")
    if re.fullmatch(r"(DIR|TPR)@.*", key):
        return Quantity(key, "%")
    return _KNOWN.get(key, Quantity(key.replace("_", " ").replace(".", ", ")))


def short(value: float, unit: str = "") -> str:
    """Few digits are enough to read; percentages have one decimal, fractions two.

    >>> short(61.34, "%"), short(1234.4), short(0.7349), short(0.00035)
    ('61.3%', '1,234', '0.73', '0.00035')
    """
    if abs(value) >= _WHOLE:
        return f"{value:,.0f}{unit}"
    if unit == "%":
        return f"{value:.1f}%"
    if _TENTH <= abs(value) < 1:
        return f"{value:.2f}{unit}"
    return f"{value:.3g}{unit}"


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(8.25), duration(3 * 60 + 5), duration(2 * 3600 + 240)
    ('8.2 s', '3 min 5 s', '2 h 4 min')
    """
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def finite(value: Any) -> float | None:
    """The number that a JSON value holds, or None for anything that cannot be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def look_up(record: Mapping[str, Any], key: str) -> float | None:
    """The finite number at a dotted key ("evaluation.mAP"), or None."""
    value: Any = record
    for part in key.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return finite(value)


def numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """All finite numbers of a record under dotted keys, in its order."""
    found: dict[str, float] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{inner}": number for inner, number in numbers(value).items()}
        elif (number := finite(value)) is not None:
            found[key] = number
    return found
