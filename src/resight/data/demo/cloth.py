"""What surfaces look like: colours painted in canonical coordinates, pixel by pixel.

Because a pixel knows its spot on the body, prints stay sharp at any size, move with the body,
and show only from the side they are on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from resight.data.demo.compiled import compiled
from resight.data.demo.garments import Layer
from resight.data.demo.outfits import Bag, Identity, Legs, Logo, Pattern, Top
from resight.data.demo.randomness import Stream, generator
from resight.data.demo.skeleton import Doubles, Floats

Mask = NDArray[np.bool_]

_SOLE = (215, 215, 212)
_FRONT = 0.035
_ON_TRUNK = 0.03
_GRAIN = {Layer.SKIN: (5, 60, 140), Layer.HAIR: (6, 30, 90)}


class Spots:
    """Canonical places of P pixels of one layer, with names for what lies where."""

    def __init__(self, attributes: Floats):
        self.xyz = np.ascontiguousarray(attributes[:, :3])
        self.x, self.y, self.z = attributes[:, 0], attributes[:, 1], attributes[:, 2]
        self.arm = attributes[:, 3]
        self.box = attributes[:, 4:7]
        self.trunk = self.arm < _ON_TRUNK
        self.front = self.z > _FRONT

    def __len__(self) -> int:
        return len(self.x)

    def plain(self, colour: Doubles) -> Floats:
        """One colour everywhere, (P, 3)."""
        return np.tile(colour.astype(np.float32), (len(self), 1))


def albedo(identity: Identity, layer: NDArray[np.int8], attributes: Floats) -> Floats:
    """Colours (P, 3), sRGB 3 to 250, of P pixels from their layers (P,) and attributes (P, 7)."""
    colours = np.empty((len(layer), 3), np.float32)
    for code in np.flatnonzero(np.bincount(layer, minlength=1)):
        mine = np.flatnonzero(layer == code)
        colours[mine] = _PAINTERS[Layer(int(code))](identity, Spots(attributes[mine]))
    return np.clip(colours, 3, 250, out=colours)


def ripples(
    rng: np.random.Generator, points: Floats, count: int, low: float, high: float, channels: int = 1
) -> Floats:
    """Smooth noise (P, channels) in [-1, 1] at points (P, 3): the mean of `count` random waves.

    low, high: the range of their wave numbers, in radians per unit.
    """
    waves = rng.normal(size=(channels, count, 3))
    waves /= np.linalg.norm(waves, axis=2, keepdims=True)
    waves *= rng.uniform(low, high, (channels, count, 1))
    phases = rng.uniform(0, 2 * np.pi, (channels, count))
    return _ripples(points, waves.astype(np.float32), phases.astype(np.float32))


@compiled
def _ripples(points: Floats, waves: Floats, phases: Floats) -> Floats:
    out = np.empty((len(points), len(waves)), np.float32)
    count = np.float32(waves.shape[1])
    for p in range(len(points)):
        x, y, z = points[p]
        for c in range(len(waves)):
            total = np.float32(0)
            for w in range(waves.shape[1]):
                kx, ky, kz = waves[c, w]
                total += np.sin(x * kx + y * ky + z * kz + phases[c, w])
            out[p, c] = total / count
    return out


def _grain(identity: Identity, layer: Layer, points: Floats) -> Floats:
    rng = generator(identity.seed, Stream.CLOTH, layer)
    return ripples(rng, points, *_GRAIN[layer])


def _paint_skin(identity: Identity, at: Spots) -> Floats:
    colour = at.plain(identity.skin) * (1 + 0.06 * _grain(identity, Layer.SKIN, at.xyz))
    hair = identity.hair.colour
    face = (at.y > 0.875) & (at.z > 0.06)
    from_eye = np.abs(np.abs(at.x) - 0.019)
    eyes = face & (from_eye < 0.010) & (np.abs(at.y - 0.945) < 0.005)
    brows = face & (from_eye < 0.012) & (np.abs(at.y - 0.955) < 0.0035)
    mouth = face & (np.abs(at.x) < 0.015) & (np.abs(at.y - 0.900) < 0.004)
    colour[eyes] *= 0.35
    colour[brows] = colour[brows] * 0.3 + hair * 0.5
    colour[mouth] *= np.array([0.8, 0.55, 0.55], np.float32)
    if identity.beard:
        beard = face & (at.y < 0.915)
        colour[beard] = colour[beard] * 0.45 + hair * 0.45
    colour[at.y < identity.shoes.top] = identity.shoes.colour
    if identity.shoes.white_sole:
        colour[at.y < 0.012] = _SOLE
    return colour


def _paint_legs(identity: Identity, at: Spots) -> Floats:
    legs = identity.legs
    colour = _stockings(legs, at) if legs.kind == "skirt" else _trousers(legs, at)
    if identity.shoes.top > 0.07:
        colour[at.y < identity.shoes.top] = identity.shoes.colour
    return colour


def _stockings(legs: Legs, at: Spots) -> Floats:
    return at.plain(legs.colour if legs.stockings is None else legs.stockings)


def _trousers(legs: Legs, at: Spots) -> Floats:
    colour = at.plain(legs.colour)
    if legs.faded:
        thigh = ((at.y - 0.40) / 0.09) ** 2 + ((np.abs(at.x) - 0.075) / 0.04) ** 2
        colour *= (1 + 0.45 * np.exp(-thigh) * at.front)[:, None]
    if legs.stripe is not None:
        outside = np.abs(at.x) > 0.085 + 0.03 * (0.5 - at.y)
        colour[outside & (np.abs(at.z) < 0.012)] = legs.stripe
    colour[np.abs(at.y - 0.565) < 0.008] *= 0.5  # the belt
    return colour


def _paint_tail(identity: Identity, at: Spots) -> Floats:
    top = identity.top
    colour = _patterned(at.plain(top.colour), top.pattern, at)
    _print(colour, top.logo, at, at.front & at.trunk)
    _print(colour, top.back, at, ~at.front & at.trunk & (at.z < 0))
    _paint_front(colour, identity, at)
    return colour


def _paint_top(identity: Identity, at: Spots) -> Floats:
    colour = _paint_tail(identity, at)
    colour[at.trunk & (np.abs(at.y - identity.top.hem - 0.008) < 0.006)] *= 0.7
    if identity.bag is not None:
        colour[_straps(identity.bag, at)] = identity.bag.colour * 0.85
    return colour


def _paint_front(colour: Floats, identity: Identity, at: Spots) -> None:
    """The opening or buttons, and the neckline."""
    top, chest = identity.top, at.trunk & (at.z > 0.02)
    beside = np.abs(at.x)
    if top.opening is not None:
        half = top.opening.width * (1 + 0.5 * (at.y - 0.5)) + 0.012
        colour[chest & (np.abs(beside - half) < 0.006)] *= 0.6
        colour[chest & (beside < half) & (at.y < 0.85)] = top.opening.colour
    elif top.collar:
        colour[chest & (beside < 0.004)] *= 0.55
    neckline = chest & (at.y > 0.80) & (beside < (at.y - 0.80) * (1.0 if top.collar else 0.35))
    colour[neckline] = _under(top, identity.skin)


def _under(top: Top, skin: Doubles) -> Doubles:
    return top.opening.colour if top.collar and top.opening is not None else skin


def _straps(bag: Bag, at: Spots) -> Mask:
    if bag.kind == "backpack":
        on_shoulder = (at.z > 0) | (at.y > 0.8)
        straps = (np.abs(np.abs(at.x) - 0.062) < 0.013) & on_shoulder & (at.y > 0.66)
    elif bag.kind == "shoulder":
        straps = np.abs(at.x * bag.side + (at.y - 0.66) * 0.62) < 0.011
    else:
        return np.zeros(len(at), bool)
    return straps & at.trunk


def _paint_skirt(identity: Identity, at: Spots) -> Floats:
    return _patterned(at.plain(identity.legs.colour), identity.legs.pattern, at)


def _paint_hair(identity: Identity, at: Spots) -> Floats:
    strands = at.xyz * np.array([6, 1, 6], np.float32)
    return at.plain(identity.hair.colour) * (1 + 0.25 * _grain(identity, Layer.HAIR, strands))


def _paint_hat(identity: Identity, at: Spots) -> Floats:
    assert identity.hat is not None
    return at.plain(identity.hat.colour)


def _paint_bag(identity: Identity, at: Spots) -> Floats:
    assert identity.bag is not None
    bag = identity.bag
    u, v, w = at.box.T
    colour = at.plain(bag.colour)
    if bag.trim == "pocket":
        colour[(v < -0.05) & (v > -0.85) & (np.abs(u) < 0.75) & (np.abs(w) > 0.5)] = bag.second
    elif bag.trim == "band":
        colour[np.abs(v - 0.3) < 0.16] = bag.second
    colour[np.abs(v - 0.55) < 0.03] *= 0.5  # the zip
    return colour


_PAINTERS: dict[Layer, Callable[[Identity, Spots], Floats]] = {
    Layer.SKIN: _paint_skin,
    Layer.LEGS: _paint_legs,
    Layer.TOP: _paint_top,
    Layer.TAIL: _paint_tail,
    Layer.SKIRT: _paint_skirt,
    Layer.HAIR: _paint_hair,
    Layer.HAT: _paint_hat,
    Layer.BAG: _paint_bag,
}


def _patterned(colour: Floats, pattern: Pattern | None, at: Spots) -> Floats:
    if pattern is None:
        return colour
    second = pattern.colour.astype(np.float32)
    down: Floats = np.where(at.arm > 0, 0.80 - at.arm * np.float32(0.13), at.y)
    down /= np.float32(pattern.period)
    if pattern.kind == "check":
        across = np.where(at.arm > 0, at.z, at.x) / pattern.period
        share = ((down % 1 < 0.5) * np.float32(0.5) + (across % 1 < 0.5) * np.float32(0.5))[:, None]
        return np.asarray(colour + (second - colour) * share, np.float32)
    colour[_FIGURES[pattern.kind](pattern, at, down)] = second
    return colour


def _stripes(pattern: Pattern, at: Spots, down: Floats) -> Mask:
    del down
    across = np.where(at.arm > 0, at.x * 0.5 + at.z, at.x) / (pattern.period * 0.7)
    return np.asarray(across % 1 < pattern.duty)


def _camouflage(pattern: Pattern, at: Spots, down: Floats) -> Mask:
    del down
    rng = generator(pattern.seed, Stream.CLOTH)
    return np.asarray(ripples(rng, at.xyz, 7, 40, 110)[:, 0] > 0.08)


def _dots(pattern: Pattern, at: Spots, down: Floats) -> Mask:
    across = at.x / pattern.period + 0.5 * (np.floor(down) % 2)
    return np.asarray((down % 1 - 0.5) ** 2 + (across % 1 - 0.5) ** 2 < 0.06)


_FIGURES: dict[str, Callable[[Pattern, Spots, Floats], Mask]] = {
    "hoops": lambda pattern, at, down: np.asarray(down % 1 < pattern.duty),
    "stripes": _stripes,
    "block": lambda pattern, at, down: np.asarray(at.y > pattern.level),
    "camouflage": _camouflage,
    "sleeves": lambda pattern, at, down: at.arm > 0.02,
    "dots": _dots,
}


def _print(colour: Floats, logo: Logo | None, at: Spots, where: Mask) -> None:
    if logo is not None:
        u, v = (at.x - logo.x) / logo.size, (at.y - logo.y) / logo.size
        colour[where & _SHAPES[logo.shape](logo, u, v)] = logo.colour


def _text(logo: Logo, u: Floats, v: Floats) -> Mask:
    letters = generator(logo.seed, Stream.CLOTH).random((5, 12)) < 0.6
    row = np.clip((v * 3.5 + 2.5).astype(int), 0, 4)
    column = np.clip((u * 4.2 + 6).astype(int), 0, 11)
    return np.asarray((np.abs(u) < 1.4) & (np.abs(v) < 0.7) & letters[row, column])


_SHAPES: dict[str, Callable[[Logo, Floats, Floats], Mask]] = {
    "disc": lambda logo, u, v: np.asarray(u * u + v * v < 1),
    "rectangle": lambda logo, u, v: np.asarray((np.abs(u) < 1.1) & (np.abs(v) < 0.7)),
    "bars": lambda logo, u, v: np.asarray(
        (np.abs(u) < 1.2) & (np.abs(v) < 1) & ((v * 1.7) % 1 < 0.55)
    ),
    "triangle": lambda logo, u, v: np.asarray((v > -0.8) & (np.abs(u) * 1.6 + v < 0.9)),
    "text": _text,
}
