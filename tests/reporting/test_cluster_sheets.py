from __future__ import annotations

import numpy as np
import pyarrow as pa

from resight.reporting.cluster_sheets import CROPS, OF_EACH, OUTLIERS, cluster_sheets
from resight.reporting.run_files import EpochLabels


def labels_of(sizes, outliers=0, cameras=None):
    labels = np.repeat([*range(len(sizes)), -1], [*sizes, outliers])
    columns = {"path": [f"{i}.jpg" for i in range(len(labels))], "label": labels}
    if cameras:
        columns["camera"] = cameras
    return EpochLabels(1, pa.table(columns))


def test_thirds_by_size_are_sampled_and_outliers_come_last():
    found = labels_of([40] * 10 + [20] * 10 + [5] * 10, outliers=100)
    large, middle, small, outliers = cluster_sheets(found, seed=0)
    assert [r.size for r in large.rows] == [40] * OF_EACH
    assert [r.size for r in middle.rows] == [20] * OF_EACH
    assert [r.size for r in small.rows] == [5] * OF_EACH
    assert [len(r.paths) for r in large.rows] == [CROPS] * OF_EACH
    assert large.rows[0].n_hidden == 40 - CROPS
    assert len(outliers.rows[0].paths) == OUTLIERS
    assert outliers.rows[0].size == 100


def test_titles_tell_the_sizes():
    titles = [sheet.title for sheet in cluster_sheets(labels_of([9, 7, 5, 5, 5, 4]), seed=0)]
    assert titles == [
        "Large clusters (7–9 crops)",
        "Middle clusters (5 crops)",
        "Small clusters (4–5 crops)",
    ]


def test_crops_belong_to_their_cluster_and_appear_once():
    found = labels_of([30, 20, 10], outliers=3)
    for sheet in cluster_sheets(found, seed=3):
        for row in sheet.rows:
            rows = [int(path.removesuffix(".jpg")) for path in row.paths]
            assert len(set(rows)) == len(rows)
            assert set(found.labels[rows]) == {row.label}


def test_the_seed_decides():
    found = labels_of(list(range(4, 40)))
    assert cluster_sheets(found, seed=1) == cluster_sheets(found, seed=1)
    assert cluster_sheets(found, seed=1) != cluster_sheets(found, seed=2)


def test_few_or_no_clusters():
    (only,) = cluster_sheets(labels_of([3]), seed=0)
    assert [row.label for row in only.rows] == [0]
    (outliers,) = cluster_sheets(labels_of([], outliers=2), seed=0)
    assert [row.label for row in outliers.rows] == [-1]
    assert cluster_sheets(labels_of([]), seed=0) == ()


def test_cameras_are_counted_over_the_whole_cluster():
    (sheet,) = cluster_sheets(labels_of([4], cameras=["a", "b", "b", None]), seed=0)
    assert sheet.rows[0].cameras == (("b", 2), ("a", 1))
