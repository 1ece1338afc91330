"""How hard a demo world is: the numbers behind `easy`, `standard` and `hard`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from difflib import get_close_matches

from resight.errors import DataError

DIFFICULTIES = ("easy", "standard", "hard")

_SHARES = ("background", "low_resolution", "occlusion", "own")


@dataclass(frozen=True, kw_only=True)
class World:
    """The strength of every nuisance, and how alike people are; 0 switches a nuisance off.

    Strengths of 0.85 together are about as hard as a real set of two cameras. They are >= 0;
    `background`, `low_resolution`, `occlusion` and `own` lie in [0, 1].

    Raises DataError for a number outside its range.
    """

    #: Differences of colour response and exposure between cameras.
    camera: float = 0.55
    #: Changes of sun, sky and exposure from shot to shot.
    light: float = 0.55
    #: 0: every camera resolves the asked size; 1: each has its own, lower resolution.
    low_resolution: float = 0.55
    #: Defocus and motion blur.
    blur: float = 0.55
    #: Sensor noise.
    noise: float = 0.55
    #: JPEG artefacts of the camera (the files are written at high quality on top of them).
    jpeg: float = 0.55
    #: Contrast of the backgrounds and number of things standing in them.
    background: float = 0.55
    #: Sloppiness of the person detector: shifted, wide, narrow and cut boxes.
    jitter: float = 0.55
    #: How far people turn away from the camera.
    turn: float = 0.55
    #: Probability that something stands in front of the person.
    occlusion: float = 0.10
    #: Amplitude of walking.
    stride: float = 1.0
    #: How far cameras look down.
    pitch: float = 1.0
    #: Look-alikes: this many consecutive identities share an outfit plan.
    group: int = 3
    #: Probability that an attribute is the person's own, not the group's.
    own: float = 0.75
    #: Relative difference of shade between garments of the same colour.
    shade: float = 0.16
    #: Different backgrounds per camera.
    places: int = 5
    #: Rendered pixels per picture pixel along each side, in [1, 4].
    supersampling: float = 1.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < float("inf"):
                raise DataError(f"a demo world needs {field.name} >= 0, got {value}")
        for name in _SHARES:
            if getattr(self, name) > 1:
                raise DataError(f"a demo world needs {name} in [0, 1], got {getattr(self, name)}")
        if self.group < 1 or self.places < 1:
            raise DataError(
                f"a demo world needs group and places >= 1, got {self.group} and {self.places}"
            )
        if not 1 <= self.supersampling <= 4:
            raise DataError(f"a demo world needs supersampling in [1, 4], got {self.supersampling}")

    @classmethod
    def named(cls, name: str) -> World:
        """Return the world called `easy`, `standard` or `hard`.

        Raises DataError for any other name.
        """
        makers: dict[str, Callable[[], World]] = {"easy": easy, "standard": standard, "hard": hard}
        if name in makers:
            return makers[name]()
        close = get_close_matches(name, makers, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise DataError(f"unknown demo world {name!r}, expected easy, standard or hard{hint}")

    @classmethod
    def at_level(cls, level: float, *, occlusion: float) -> World:
        """Return a world with every strength of camera, image and pose at `level`."""
        return cls(
            camera=level,
            light=level,
            low_resolution=level,
            blur=level,
            noise=level,
            jpeg=level,
            background=level,
            jitter=level,
            turn=level,
            occlusion=occlusion,
        )


def easy() -> World:
    """Good cameras: untrained ImageNet features already find about half of the people."""
    return World.at_level(0.28, occlusion=0.05)


def standard() -> World:
    """The default: there is room above untrained features, and labels reach far."""
    return World.at_level(0.55, occlusion=0.10)


def hard() -> World:
    """As hard as a real set of two surveillance cameras."""
    return World.at_level(0.85, occlusion=0.18)
