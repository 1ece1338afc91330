"""The graph slot: settings to graphs."""

import numpy as np
import pytest
from dense import affinities, clouds, full_table, jaccard, ranking

from resight.graph import Jaccard, jaccard_graph
from resight.records import Features


def dense(vectors, **settings):
    order = ranking(vectors.astype(np.float64) @ vectors.T.astype(np.float64))
    return jaccard(affinities(vectors, order, **settings))


@pytest.mark.parametrize("self_counts", [True, False])
def test_the_lists_count_the_crop_itself_or_not(self_counts):
    vectors = clouds(np.random.default_rng(0), 90, identities=9)
    features = Features({"global": vectors})
    builder = Jaccard(k1=8, k2=3, self_counts=self_counts)
    want = dense(vectors, k1=8, k2=3, self_counts=self_counts)
    graph = builder(features)
    np.testing.assert_allclose(full_table(graph), want, atol=1e-5)
    assert graph.nearest().nnz == 90 * (7 if self_counts else 8)
    variant = builder.variants(features, vectors)
    np.testing.assert_allclose(full_table(variant(8, 3)), want, atol=1e-5)
    longest = dense(vectors, k1=30, k2=6, self_counts=self_counts)
    np.testing.assert_allclose(full_table(variant(30, 6)), longest, atol=1e-5)
    assert np.abs(want - dense(vectors, k1=8, k2=3, self_counts=not self_counts)).max() > 0.01


def test_the_default_is_the_shared_form():
    vectors = clouds(np.random.default_rng(1), 70, identities=9)
    one = full_table(Jaccard()(Features({"global": vectors})))
    np.testing.assert_array_equal(one, full_table(jaccard_graph(vectors)))
