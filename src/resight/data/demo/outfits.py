"""What a person wears and looks like, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from resight.data.demo.skeleton import Doubles


@dataclass(frozen=True, eq=False)
class Pattern:
    """A second colour and how it repeats; lengths in canonical units (body heights)."""

    kind: str
    colour: Doubles
    period: float
    duty: float
    level: float
    seed: int


@dataclass(frozen=True, eq=False)
class Logo:
    """A print on the chest or back; lengths in canonical units."""

    shape: str
    colour: Doubles
    size: float
    x: float
    y: float
    seed: int


@dataclass(frozen=True, eq=False)
class Opening:
    """An unbuttoned front: half its width in canonical units, and what shows in it."""

    width: float
    colour: Doubles


@dataclass(frozen=True, eq=False)
class Top:
    """The upper garment. `sleeve` ends there on the arm coordinate; hems are canonical y."""

    kind: str
    colour: Doubles
    loose: float
    sleeve: float
    hem: float
    tail: float | None
    opening: Opening | None
    pattern: Pattern | None
    logo: Logo | None
    back: Logo | None

    @property
    def hood(self) -> bool:
        """Whether a hood hangs at the neck."""
        return self.kind == "hoodie"

    @property
    def collar(self) -> bool:
        """Whether there is a collar and a row of buttons."""
        return self.kind in ("shirt", "coat", "jacket")


@dataclass(frozen=True, eq=False)
class Legs:
    """The lower garment: `trousers`, `shorts` or `skirt`."""

    kind: str
    colour: Doubles
    hem: float
    loose: float = 0.0
    flare: float = 0.0
    faded: bool = False
    stripe: Doubles | None = None
    stockings: Doubles | None = None
    pattern: Pattern | None = None


@dataclass(frozen=True, eq=False)
class Hair:
    """Hair; `volume` in metres, long hair falls to canonical y `length`."""

    kind: str
    colour: Doubles
    volume: float
    length: float


@dataclass(frozen=True, eq=False)
class Hat:
    """A cap, with or without a peak."""

    colour: Doubles
    peak: bool


@dataclass(frozen=True, eq=False)
class Shoes:
    """Shoes that reach up to canonical y `top`."""

    colour: Doubles
    top: float
    white_sole: bool


@dataclass(frozen=True, eq=False)
class Bag:
    """A `backpack`, a `shoulder` bag or one in the `hand`; side 1 is the left."""

    kind: str
    size: Doubles  # (3,) width, height, depth in metres
    colour: Doubles
    second: Doubles
    trim: str
    side: int


@dataclass(frozen=True, eq=False)
class Identity:
    """Everything about a person that no picture changes."""

    seed: int
    shape: Doubles
    height: float
    skin: Doubles
    beard: bool
    hair: Hair
    hat: Hat | None
    top: Top
    legs: Legs
    shoes: Shoes
    bag: Bag | None
