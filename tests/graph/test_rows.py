import numpy as np
import scipy.sparse

from resight.graph.rows import BLOCK, Rows, over_rows, stack, transpose


def random_rows(rng, n, density):
    table = scipy.sparse.random_array((n, n), density=density, format="csr", rng=rng)
    table = scipy.sparse.csr_array(table.astype(np.float32))
    return Rows(table.indptr.astype(np.int64), table.indices.astype(np.int32), table.data), table


def test_transpose():
    for n, density in ((0, 0), (1, 1), (40, 0.1), (33, 0)):
        rows, table = random_rows(np.random.default_rng(n), n, density)
        indptr, indices, data = transpose(rows)
        expected = scipy.sparse.csr_array(table.T)
        np.testing.assert_array_equal(indptr, expected.indptr)
        np.testing.assert_array_equal(indices, expected.indices)
        np.testing.assert_array_equal(data, expected.data)


def test_stack_joins_blocks_in_order():
    rows, table = random_rows(np.random.default_rng(0), 9, 0.4)
    blocks = []
    for part in (table[:4], table[4:5], table[5:]):
        blocks.append(Rows(part.indptr.astype(np.int64), part.indices, part.data))
    for one, other in zip(stack(blocks), rows, strict=True):
        np.testing.assert_array_equal(one, other)
    assert stack([]).n_rows == 0


def test_over_rows_covers_each_row_once_and_in_order():
    assert over_rows(0, lambda start, stop: (start, stop)) == []
    blocks = over_rows(2 * BLOCK + 3, lambda start, stop: (start, stop))
    assert blocks == [(0, BLOCK), (BLOCK, 2 * BLOCK), (2 * BLOCK, 2 * BLOCK + 3)]
