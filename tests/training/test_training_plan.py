"""What an epoch does: the recipe's own, the warm-up under a teacher, and what they hand on."""

from dataclasses import replace

import pytest

from resight.clustering import DBSCAN, HDC, Switch
from resight.losses import ClusterNCE, Distillation
from resight.recipe import OptimPlan, Recipe, Teacher
from resight.schedules import Steps
from resight.training.plan import plan_epoch

STUDENT = Recipe(
    losses=(ClusterNCE(), Distillation()),
    teacher=Teacher(),
    optim=OptimPlan(epochs=4, lr=1.0, schedule=Steps(every=2)),
)


def test_without_a_teacher_epochs_are_the_recipes_own() -> None:
    recipe = replace(STUDENT, teacher=None, losses=(ClusterNCE(),))
    plans = [plan_epoch(recipe, number, ()) for number in range(recipe.total_epochs)]
    assert [plan.epoch for plan in plans] == [0, 1, 2, 3]
    assert [plan.lr for plan in plans] == [1, 1, 0.1, 0.1]
    assert plans[2].title == "epoch 3/4"
    assert not any(p.labels_by_teacher or p.memory_by_teacher or p.distils for p in plans)
    assert all(p.writes and p.batches == 1 for p in plans)


def test_the_warm_up_comes_first_and_takes_all_from_the_teacher() -> None:
    warm_up, *others = [plan_epoch(STUDENT, n, ()) for n in range(STUDENT.total_epochs)]
    assert (warm_up.title, warm_up.epoch, warm_up.batches) == ("warm-up", 0, 2.0)
    assert warm_up.labels_by_teacher
    assert warm_up.memory_by_teacher
    assert not warm_up.writes
    assert not warm_up.distils
    assert warm_up.lr == 1
    assert [p.epoch for p in others] == [0, 1, 2, 3]
    assert [p.lr for p in others] == [1, 1, 0.1, 0.1]
    assert all(p.writes and p.distils and p.batches == 1 for p in others)
    assert not any(p.labels_by_teacher or p.memory_by_teacher for p in others)


def test_released_code_distils_in_the_warm_up_too() -> None:
    recipe = replace(STUDENT, teacher=Teacher(distil_in_warm_up=True))
    assert plan_epoch(recipe, 0, ()).distils


def test_without_warm_up_the_first_epoch_is_the_recipes() -> None:
    recipe = replace(STUDENT, teacher=Teacher(warm_up=0))
    assert recipe.total_epochs == 4
    assert plan_epoch(recipe, 0, ()).title == "epoch 1/4"


def test_labels_by_the_teacher_alone() -> None:
    recipe = replace(STUDENT, teacher=Teacher(labels="always"), losses=(ClusterNCE(),))
    plan = plan_epoch(recipe, 3, ())
    assert plan.labels_by_teacher
    assert not plan.memory_by_teacher
    assert plan.writes


@pytest.mark.parametrize("has_warm_up", [False, True])
def test_what_the_first_clusterer_found_last_is_handed_on(has_warm_up: bool) -> None:
    switch = Switch(2, DBSCAN(0.6), Switch(3, HDC(), HDC(5)))
    recipe = replace(
        STUDENT, clusterer=switch, teacher=Teacher() if has_warm_up else Teacher(warm_up=0)
    )
    found = ((99,) if has_warm_up else ()) + (10, 20, 30)
    history = [{"clusters": n, "proposed": {"k1": n + 1, "k2": 2}} for n in found]
    history[-1].pop("proposed")
    first = int(has_warm_up)
    plans = [plan_epoch(recipe, n, history[:n]) for n in range(first, first + 4)]
    assert [plan.n_clusters for plan in plans] == [None, None, 20, 30]
    assert [plan.k1_k2 for plan in plans] == [None, None, (21, 2), None]


def test_the_teachers_recipe_is_the_students_less_the_teacher() -> None:
    of_teacher = STUDENT.of_teacher()
    assert of_teacher.teacher is None
    assert of_teacher.losses == (ClusterNCE(),)
    assert of_teacher.optim == STUDENT.optim
    shorter = replace(STUDENT, teacher=Teacher(epochs=1)).of_teacher()
    assert shorter.optim == replace(STUDENT.optim, epochs=1)
