import math

import numpy as np
import pytest

from resight.data.demo.body import body_model, shaped
from resight.data.demo.garments import Layer, build_figure
from resight.data.demo.identities import draw_identity
from resight.data.demo.outfits import Identity
from resight.data.demo.poses import walking_pose
from resight.data.demo.skeleton import BONES, bone_transforms, rotation
from resight.data.demo.world import World


def test_rotation_turns_by_its_angle_about_its_axis() -> None:
    turn = rotation(np.array([0.0, 0, 3]), math.pi / 2)
    np.testing.assert_allclose(turn @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(turn @ [0, 0, 1], [0, 0, 1], atol=1e-12)


def test_bones_follow_their_parents() -> None:
    joints = np.array([[0.0, 0, 0], [0, 1, 0]])
    quarter = rotation(np.array([0.0, 0, 1]), math.pi / 2)
    bones = bone_transforms(joints, np.array([-1, 0]), np.stack([quarter, quarter]))
    tip = bones[1, :, :3] @ [0, 2, 0] + bones[1, :, 3]  # the arm folds back on itself
    np.testing.assert_allclose(tip, [-1, -1, 0], atol=1e-12)


@pytest.mark.parametrize("height", [1.5, 1.9])
def test_bodies_have_the_asked_height(height: float) -> None:
    model = body_model()
    vertices, joints = shaped(model, model.coefficients[3], height)
    skin = vertices[np.unique(model.faces["skin"]), 1]
    assert skin.min() == pytest.approx(0, abs=1e-5)
    assert skin.max() == pytest.approx(height, rel=0.01)
    assert joints.shape == (len(BONES), 3)


def test_at_rest_nothing_moves() -> None:
    figure = build_figure(draw_identity(World(), 0, 3))
    vertices, _ = figure.posed(np.tile(np.eye(3), (len(BONES), 1, 1)))
    np.testing.assert_allclose(vertices[:, [0, 2]], figure.vertices[:, [0, 2]], atol=1e-4)


def test_posed_figures_stand_on_the_ground_and_are_finite() -> None:
    rng = np.random.default_rng(0)
    for identity in range(1, 25):
        figure = build_figure(draw_identity(World(), 1, identity))
        vertices, normals = figure.posed(walking_pose(rng))
        assert np.isfinite(vertices).all()
        assert np.isfinite(normals).all()
        assert vertices[figure.layer == Layer.SKIN, 1].min() == pytest.approx(0, abs=1e-6)
        assert 1.2 < np.ptp(vertices[:, 1]) < 2.2
        assert figure.faces.max() == len(figure.vertices) - 1


def traits(identity: Identity) -> tuple[object, ...]:
    """What look-alikes may share."""
    top, legs = identity.top, identity.legs
    return (top.kind, top.pattern and top.pattern.kind, legs.kind, identity.hair.kind)


def shared_traits(world: World, step: int) -> float:
    """Mean share of equal traits of identities `step` apart that start a group."""
    equal = []
    for first in range(1, 180, 3):
        pair = (draw_identity(world, 0, first), draw_identity(world, 0, first + step))
        equal += [a == b for a, b in zip(*map(traits, pair), strict=True)]
    return float(np.mean(equal))


def test_members_of_a_group_look_alike() -> None:
    world = World(group=3, own=0.3)
    assert shared_traits(world, 1) > shared_traits(world, 3) + 0.15
    loners = World(group=3, own=1.0)
    assert shared_traits(loners, 1) < shared_traits(world, 1)
    twins = World(group=3, own=0.0)
    assert shared_traits(twins, 2) == 1
