import numpy as np

from resight.clustering.numbering import by_first_member


def test_clusters_are_numbered_by_their_first_members():
    found = by_first_member(np.array([7, -2, 3, 7, 0, -1, 3], np.int32))
    assert found.tolist() == [0, -1, 1, 0, 2, -1, 1]
    assert found.dtype == np.int64


def test_no_clusters():
    assert by_first_member(np.array([-1, -1])).tolist() == [-1, -1]
    assert by_first_member(np.empty(0, np.int64)).shape == (0,)
