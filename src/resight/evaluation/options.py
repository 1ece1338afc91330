"""What a protocol can be told, in one record that all of them share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from math import isfinite
from typing import Literal

from resight.errors import ConfigError

APRule = Literal["step", "market"]
AP_RULES: tuple[APRule, ...] = ("step", "market")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Choices of an evaluation; each protocol looks at those that it names, if it ranks at `ap`.

    ap: rule of average precision that `mAP` follows, "step" or "market" (see `rank`).
    within: seconds >= 0; crops of one camera that are at most so far apart do not confirm each
        other. far: false alarm rates between 0 and 1 at which open-set figures are told. trials:
        how many random galleries are drawn, 1 or more. unknown: share of the identities, between 0
        and 1, that the gallery is made to lack. seed: all randomness comes from it.

    Raises ConfigError for values out of range.
    """

    ap: APRule = "step"
    within: float = 0.0
    far: tuple[float, ...] = (0.01, 0.1)
    trials: int = 20
    unknown: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ap not in AP_RULES:
            raise ConfigError(f"ap is {self.ap!r}; use one of {', '.join(AP_RULES)}")
        if not (isfinite(self.within) and self.within >= 0):
            raise ConfigError(f"within is {self.within:g} seconds; give 0 or more")
        if not self.far or not all(0 < rate < 1 for rate in self.far):
            raise ConfigError(f"far is {self.far}; give rates between 0 and 1, like 0.01")
        if self.trials < 1:
            raise ConfigError(f"trials is {self.trials}; give 1 or more")
        if not 0 < self.unknown < 1:
            raise ConfigError(f"unknown is {self.unknown:g}; give a share between 0 and 1")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; give 0 or more")

    def check_used(self, protocol: str, used: Collection[str]) -> None:
        """Raise ConfigError when an option was changed that this protocol does not look at."""
        idle = [
            field.name
            for field in fields(self)
            if field.name not in used and getattr(self, field.name) != field.default
        ]
        if idle:
            takes = ", ".join(used) or "none"
            raise ConfigError(
                f"protocol {protocol!r} does not use {', '.join(idle)} (its options: {takes}); "
                "leave that out or choose another protocol"
            )
