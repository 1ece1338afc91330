"""Who a person is: what stays the same in all of their pictures.

Consecutive identities form look-alike groups. Each attribute is drawn for the person alone with
probability `World.own`, and otherwise for the group, so that members share some of their outfit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np

from resight.data.demo.body import body_model
from resight.data.demo.outfits import (
    Bag,
    Hair,
    Hat,
    Identity,
    Legs,
    Logo,
    Opening,
    Pattern,
    Shoes,
    Top,
)
from resight.data.demo.palette import (
    BAGS,
    HAIRS,
    LEGS,
    SHOES,
    SKINS,
    TOPS,
    far_from,
    pick,
    vary,
)
from resight.data.demo.randomness import Stream, generator
from resight.data.demo.skeleton import Doubles
from resight.data.demo.world import World

_HAIR_KINDS = ("short", "long", "bun", "tail", "bald")
_HAIR_SHARES = {True: (0.12, 0.50, 0.13, 0.23, 0.02), False: (0.85, 0.05, 0.02, 0.03, 0.05)}
_PATTERNS = ("hoops", "stripes", "check", "block", "camouflage", "sleeves", "dots")
_PATTERN_SHARES = (0.28, 0.10, 0.22, 0.14, 0.10, 0.10, 0.06)
_LOGOS = ("disc", "rectangle", "bars", "text", "triangle")
_TRIMS = ("plain", "pocket", "band")
_OPEN_BY_CHANCE = 0.25
_WHITE = np.array((230.0, 230, 230))
_NYLON = np.array((28.0, 28, 32))


@dataclass(frozen=True)
class TopKind:
    """What is typical of a kind of upper garment; shares are probabilities."""

    name: str
    share: float
    loose: float  # metres
    plain: float
    logo: float


TOP_KINDS = (
    TopKind("tee", 0.24, 0.008, 0.50, 0.60),
    TopKind("shirt", 0.14, 0.012, 0.45, 0.00),
    TopKind("hoodie", 0.14, 0.022, 0.75, 0.50),
    TopKind("jacket", 0.18, 0.022, 0.80, 0.15),
    TopKind("coat", 0.12, 0.028, 0.85, 0.00),
    TopKind("sweater", 0.12, 0.014, 0.50, 0.35),
    TopKind("vest", 0.06, 0.006, 0.60, 0.50),
)


class _Trait(IntEnum):
    SEX = auto()
    BODY = auto()
    SKIN = auto()
    HAIR = auto()
    HAIR_DETAILS = auto()
    HAT = auto()
    TOP_KIND = auto()
    TOP_COLOUR = auto()
    TOP_DETAILS = auto()
    TOP_PATTERN = auto()
    LEGS_KIND = auto()
    LEGS_COLOUR = auto()
    LEGS_DETAILS = auto()
    SHOES = auto()
    SHOE_DETAILS = auto()
    BAG = auto()


class _Dice:
    """One generator per trait, the person's or the group's; `own` is the chance of the former."""

    def __init__(self, seed: int, group: tuple[int, ...], person: tuple[int, ...], own: float):
        self._seed = seed
        self._group = group
        self._person = person
        choice = generator(seed, *self._stream(person), 0).random(len(_Trait) + 1)
        self._own = choice < own

    @staticmethod
    def _stream(key: tuple[int, ...]) -> tuple[Stream, *tuple[int, ...]]:
        return Stream(key[0]), *key[1:]

    def shared(self, trait: _Trait) -> np.random.Generator:
        return generator(self._seed, *self._stream(self._group), trait)

    def personal(self, trait: _Trait) -> np.random.Generator:
        return generator(self._seed, *self._stream(self._person), trait)

    def either(self, trait: _Trait) -> np.random.Generator:
        return self.personal(trait) if self._own[trait] else self.shared(trait)


def draw_identity(world: World, seed: int, identity: int) -> Identity:
    """Identity `identity` (>= 1) of a world."""
    group = (Stream.GROUP, (identity - 1) // world.group)
    return _draw(_Dice(seed, group, (Stream.IDENTITY, identity), world.own), world.shade)


def draw_passer_by(world: World, seed: int, *shot: int) -> Identity:
    """Somebody outside of all identities, who walks through the picture `shot`."""
    group = (Stream.GROUP_OF_PASSERS_BY, *shot)
    return _draw(_Dice(seed, group, (Stream.PASSER_BY, *shot), world.own), world.shade)


def _draw(dice: _Dice, shade: float) -> Identity:
    model = body_model()
    female = dice.shared(_Trait.SEX).random() < 0.48
    rng = dice.personal(_Trait.BODY)
    bodies = np.flatnonzero(model.female == female)
    shape = model.coefficients[rng.choice(bodies)] * 0.9
    height = float(np.clip(rng.normal(1.65 if female else 1.77, 0.065), 1.48, 1.97))
    beard = bool(not female and rng.random() < 0.3)
    skin = dice.either(_Trait.SKIN)
    top = _top(dice, shade)
    return Identity(
        seed=int(rng.integers(1 << 30)),
        shape=shape,
        height=height,
        skin=vary(skin, pick(skin, SKINS), 0.06),
        beard=beard,
        hair=_hair(dice, female),
        hat=_hat(dice),
        top=top,
        legs=_legs(dice, female, top, shade),
        shoes=_shoes(dice),
        bag=_bag(dice),
    )


def _hair(dice: _Dice, female: bool) -> Hair:
    plan, own = dice.either(_Trait.HAIR), dice.personal(_Trait.HAIR_DETAILS)
    return Hair(
        kind=str(plan.choice(_HAIR_KINDS, p=_HAIR_SHARES[female])),
        colour=vary(own, pick(plan, HAIRS), 0.12),
        volume=own.uniform(0.008, 0.022),
        length=own.uniform(0.70, 0.86),
    )


def _hat(dice: _Dice) -> Hat | None:
    plan = dice.either(_Trait.HAT)
    if plan.random() >= 0.12:
        return None
    return Hat(colour=vary(plan, pick(plan, TOPS), 0.1), peak=bool(plan.random() < 0.6))


def _top(dice: _Dice, shade: float) -> Top:
    kinds = dice.either(_Trait.TOP_KIND)
    kind = TOP_KINDS[kinds.choice(len(TOP_KINDS), p=[k.share for k in TOP_KINDS])]
    base = pick(dice.either(_Trait.TOP_COLOUR), TOPS)
    own = dice.personal(_Trait.TOP_DETAILS)
    colour = vary(own, base, shade)
    loose = kind.loose * own.uniform(0.7, 1.5)
    sleeve = {"tee": own.uniform(0.55, 0.95), "vest": 0.12}.get(kind.name, 2.02)
    hem = own.uniform(0.485, 0.535)
    tail = own.uniform(0.26, 0.42) if kind.name == "coat" else None
    opening = _opening(own, kind)
    return Top(
        kind=kind.name,
        colour=colour,
        loose=loose,
        sleeve=sleeve,
        hem=hem,
        tail=tail,
        opening=opening,
        pattern=_pattern(dice.either(_Trait.TOP_PATTERN), base, kind.plain),
        logo=_logo(own, base, kind.logo) if opening is None else None,
        back=_logo(own, base, 0.18),
    )


def _opening(rng: np.random.Generator, kind: TopKind) -> Opening | None:
    may_open = kind.name in ("hoodie", "shirt") and rng.random() < _OPEN_BY_CHANCE
    if not (may_open or kind.name in ("jacket", "coat")) or rng.random() >= 0.65:
        return None
    return Opening(width=rng.uniform(0, 0.055), colour=vary(rng, pick(rng, TOPS), 0.1))


def _pattern(rng: np.random.Generator, base: Doubles, plain: float) -> Pattern | None:
    if rng.random() < plain:
        return None
    return Pattern(
        kind=str(rng.choice(_PATTERNS, p=_PATTERN_SHARES)),
        colour=vary(rng, pick(rng, far_from(base, TOPS, 120)), 0.15),
        period=rng.uniform(0.028, 0.075),
        duty=rng.uniform(0.3, 0.6),
        level=rng.uniform(0.66, 0.76),
        seed=int(rng.integers(1 << 30)),
    )


def _logo(rng: np.random.Generator, base: Doubles, chance: float) -> Logo | None:
    if rng.random() > chance:
        return None
    return Logo(
        shape=str(rng.choice(_LOGOS)),
        colour=vary(rng, pick(rng, far_from(base, TOPS, 150)), 0.1),
        size=rng.uniform(0.028, 0.062),
        x=float(rng.choice([0, 0, 0.045])),
        y=rng.uniform(0.70, 0.765),
        seed=int(rng.integers(1 << 30)),
    )


def _legs(dice: _Dice, female: bool, top: Top, shade: float) -> Legs:
    kinds = dice.either(_Trait.LEGS_KIND)
    skirt = female and kinds.random() < 0.30
    shorts = not skirt and kinds.random() < 0.16
    base = pick(dice.either(_Trait.LEGS_COLOUR), LEGS)
    own = dice.personal(_Trait.LEGS_DETAILS)
    colour = vary(own, base, shade)
    if skirt:
        dress = own.random() < 0.35
        bare = own.random() < 0.5
        return Legs(
            kind="skirt",
            colour=top.colour if dress else colour,
            hem=own.uniform(0.13, 0.40),
            flare=own.uniform(0.0, 0.06),
            stockings=None if bare else vary(own, _NYLON, 0.3),
            pattern=top.pattern if dress else _pattern(own, base, 0.75),
        )
    return Legs(
        kind="shorts" if shorts else "trousers",
        colour=colour,
        hem=own.uniform(0.24, 0.36) if shorts else own.uniform(0.015, 0.06),
        loose=own.uniform(0.003, 0.026) * (0.6 if female else 1),
        flare=own.uniform(0, 0.02),
        faded=bool(own.random() < 0.4),
        stripe=vary(own, _WHITE, 0.1) if own.random() < 0.08 else None,
    )


def _shoes(dice: _Dice) -> Shoes:
    plan, own = dice.either(_Trait.SHOES), dice.personal(_Trait.SHOE_DETAILS)
    boots = own.random() < 0.18
    return Shoes(
        colour=vary(plan, pick(plan, SHOES), 0.15),
        top=own.uniform(0.045, 0.2) if boots else 0.045,
        white_sole=bool(own.random() < 0.5),
    )


def _bag(dice: _Dice) -> Bag | None:
    rng = dice.personal(_Trait.BAG)
    draw = rng.random()
    if draw < 0.26:
        kind, low, high = "backpack", (0.26, 0.36, 0.12), (0.36, 0.50, 0.22)
    elif draw < 0.40:
        kind, low, high = "shoulder", (0.08, 0.20, 0.22), (0.13, 0.32, 0.36)
    elif draw < 0.52:
        kind, low, high = "hand", (0.06, 0.18, 0.20), (0.12, 0.34, 0.32)
    else:
        return None
    return Bag(
        kind=kind,
        size=rng.uniform(low, high),
        colour=vary(rng, pick(rng, BAGS), 0.15),
        second=vary(rng, pick(rng, BAGS), 0.15),
        trim=str(rng.choice(_TRIMS)),
        side=int(rng.choice([-1, 1])),
    )
