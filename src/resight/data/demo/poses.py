"""Poses of people who walk, stand, telephone or have a hand in the pocket."""

from __future__ import annotations

import numpy as np

from resight.data.demo.body import body_model
from resight.data.demo.skeleton import BONE, BONES, Doubles, X, Y, Z, rotation

_MANNERS = ("walk", "phone", "pocket", "bent")
_MANNER_SHARES = (0.72, 0.08, 0.10, 0.10)
_STANDING = 0.12
_REST_ELBOW = 43.0
_REST_ARM = 37.0


def walking_pose(rng: np.random.Generator, amplitude: float = 1.0) -> Doubles:
    """Draw the local rotations (19, 3, 3) of one step; `amplitude` >= 0 scales the stride."""
    local = np.tile(np.eye(3), (len(BONES), 1, 1))
    phase = rng.uniform(0, 2 * np.pi)
    stride = rng.uniform(0.55, 1.15) * amplitude * (rng.random() > _STANDING)
    manner = str(rng.choice(_MANNERS, p=_MANNER_SHARES))
    for side, own_phase in (("L", phase), ("R", phase + np.pi)):
        _leg(local, rng, side, own_phase, stride)
        _arm(local, rng, side, own_phase, stride, manner)
    _trunk(local, rng, phase, stride, manner)
    return local


def _bump(phase: float, centre: float, width: float) -> float:
    distance = (phase - centre + np.pi) % (2 * np.pi) - np.pi
    return float(np.exp(-((distance / width) ** 2)))


def _turn(axis: Doubles, degrees: float) -> Doubles:
    return rotation(axis, float(np.radians(degrees)))


def _leg(local: Doubles, rng: np.random.Generator, side: str, phase: float, stride: float) -> None:
    outward = 1 if side == "L" else -1
    hip = 4 + 25 * np.cos(phase) * stride
    swing = 52 * _bump(phase, 1.35 * np.pi, 1.0) + 10 * _bump(phase, 0.3 * np.pi, 0.8)
    foot = 14 * _bump(phase, 0.95 * np.pi, 0.6) - 8 * _bump(phase, 0, 0.5)
    local[BONE[f"thigh.{side}"]] = _turn(X, -hip) @ _turn(Z, outward * rng.normal(0, 2))
    local[BONE[f"shin.{side}"]] = _turn(X, 5 + swing * stride)
    local[BONE[f"foot.{side}"]] = _turn(X, foot * stride)


def _arm(
    local: Doubles, rng: np.random.Generator, side: str, phase: float, stride: float, manner: str
) -> None:
    outward = 1 if side == "L" else -1
    swing = -24 * np.cos(phase) * stride * rng.uniform(0.5, 1.2)
    elbow = 14 + 16 * rng.random() + max(0.0, swing) * 0.6
    down = _REST_ARM + rng.normal(0, 4)
    if manner == "pocket":
        swing, elbow, down = -12, 48, 27
    elif manner == "bent":
        swing, elbow = swing * 0.3 + 8, 75
    elif manner == "phone" and side == "R":
        swing, elbow = 35 + 12 * rng.random(), 105 + 30 * rng.random()
    joints = body_model().canonical_joints.astype(np.float64)
    upper = _turn(X, -swing) @ _turn(Z, -outward * down)
    forearm = joints[BONE[f"hand.{side}"]] - joints[BONE[f"forearm.{side}"]]
    local[BONE[f"upper_arm.{side}"]] = upper
    local[BONE[f"forearm.{side}"]] = _turn(np.cross(forearm, upper.T @ Z), elbow - _REST_ELBOW)


def _trunk(
    local: Doubles, rng: np.random.Generator, phase: float, stride: float, manner: str
) -> None:
    twist = 7 * np.cos(phase) * stride
    nod = 18 if manner == "phone" else 0
    local[BONE["pelvis"]] = _turn(Y, -twist * 0.6)
    local[BONE["spine"]] = _turn(X, rng.normal(3, 3)) @ _turn(Y, twist)
    local[BONE["chest"]] = _turn(Y, twist * 0.6) @ _turn(X, rng.normal(2, 2))
    local[BONE["neck"]] = _turn(X, rng.normal(3, 4))
    local[BONE["head"]] = _turn(Y, rng.normal(0, 16)) @ _turn(X, rng.normal(4, 8) + nod)
