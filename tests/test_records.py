"""The records that do something: pseudo-labels cut to size, what is kept for an epoch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resight.records import Clustered, PseudoLabels


@given(st.lists(st.integers(-1, 4), max_size=40), st.integers(1, 6), st.integers(0, 5))
def test_at_most_keeps_random_members(drawn: list[int], size: int, seed: int) -> None:
    labels = np.array(drawn, np.int64)
    labels[labels >= 0] = np.unique(labels[labels >= 0], return_inverse=True)[1]
    pseudo = PseudoLabels(labels)
    cut = pseudo.at_most(size, np.random.default_rng(seed))
    assert cut.sizes.tolist() == np.minimum(pseudo.sizes, size).tolist()
    stayed = cut.labels >= 0
    assert np.array_equal(cut.labels[stayed], labels[stayed])


def test_which_members_stay_is_random() -> None:
    pseudo = PseudoLabels(np.zeros(50, np.int64))
    kept = {tuple(pseudo.at_most(3, np.random.default_rng(s)).labels) for s in range(5)}
    assert len(kept) == 5


@pytest.mark.parametrize("view", ["global", "part1"])
def test_once_is_made_once_for_each_view(view: str) -> None:
    calls: list[str] = []

    def make(clustered: Clustered, view: str) -> torch.Tensor:
        calls.append(view)
        return clustered.features[view].sum()

    tables = {"global": torch.ones(2, 3), "part1": torch.zeros(2, 3)}
    clustered = Clustered(tables, {}, {})
    assert clustered.once(make, view) is clustered.once(make, view)
    clustered.once(make, "global")
    assert calls == list(dict.fromkeys([view, "global"]))
