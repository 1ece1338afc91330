import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import resight
from resight.api.clustering import bytes_of
from resight.clustering import DBSCAN
from resight.clustering.quality import against_identities
from resight.errors import ConfigError, CostError, DataError, ResightError
from resight.graph import centre_cameras, jaccard_graph
from resight.records import Features


def crowd(seed=0, identities=25, crops=12, dim=32):
    rng = np.random.default_rng(seed)
    known = rng.permutation(np.repeat(np.arange(identities), crops))
    rows = rng.standard_normal((identities, dim))[known] + 0.7 * rng.standard_normal(
        (len(known), dim)
    )
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), known, rng.integers(0, 4, len(known))


def test_without_settings_the_individuals_are_found(tmp_path):
    features, identities, cameras = crowd()
    found = resight.cluster(
        features, cameras=cameras, identities=identities, out=tmp_path / "new" / "out", explain=True
    )
    assert found.summary["against_identities"]["ari"] > 0.8
    assert found.explanation.proposal is not None
    assert found.explanation.cameras.expected > 0.7
    table = pq.read_table(tmp_path / "new/out/labels.parquet")
    assert table["row"].to_pylist() == list(range(len(features)))
    np.testing.assert_array_equal(table["label"].to_numpy(), found.labels.labels)
    summary = json.loads((tmp_path / "new/out/summary.json").read_text())
    assert summary["clusters"] == found.labels.n_clusters
    assert {"k1", "k2", "eps", "silhouette", "across_cameras"} <= set(summary)


def test_settings_are_those_of_a_recipe():
    features, _, cameras = crowd()
    settings = {"graph.k1": 10, "clusterer.part": "DBSCAN", "clusterer.eps": 0.5}
    found = resight.cluster(features * 3, cameras=cameras, settings=settings)
    centred = centre_cameras(features, cameras)
    expected = DBSCAN(0.5)(jaccard_graph(centred, k1=10), Features({"global": centred}), None)
    np.testing.assert_array_equal(found.labels.labels, expected.without_small(2).labels)
    larger = resight.cluster(features, settings={**settings, "min_cluster_size": 12})
    assert larger.labels.sizes.min(initial=12) >= 12


def test_files_and_names(tmp_path):
    features, _, cameras = crowd()
    np.save(tmp_path / "features.npy", features.astype(np.float16))
    names = np.array(["hall", "door", "yard", "gate"])[cameras]
    np.save(tmp_path / "cameras.npy", names)
    one = resight.cluster(tmp_path / "features.npy", cameras=str(tmp_path / "cameras.npy"))
    other = resight.cluster(features.astype(np.float16), cameras=cameras)
    np.testing.assert_array_equal(one.labels.labels, other.labels.labels)


def test_labels_of_little_use_are_given_and_told():
    features = crowd()[0]
    settings = {"clusterer.part": "DBSCAN", "clusterer.eps": 0.001}
    found = resight.cluster(features, settings=settings)
    assert found.labels.n_outliers == len(features)
    assert found.summary["problem"].startswith("no cluster")
    nothing = resight.cluster(np.empty((0, 8), np.float32), settings=settings)
    assert nothing.summary["features"] == 0


def test_features_that_nothing_separates_are_explained():
    found = resight.cluster(np.eye(12), explain=True)
    assert found.labels.n_outliers == 12
    assert found.summary["problem"].startswith("no cluster")
    assert found.explanation.proposal is None
    assert all(row.problem is not None for row in found.explanation.sweep)


def test_the_explanation_counts_as_the_clusterer_does():
    features = crowd(crops=6)[0]
    settings = {"clusterer.part": "DBSCAN", "clusterer.eps": 0.5, "clusterer.min_samples": 7}
    found = resight.cluster(features, settings=settings, explain=True)
    same = [row for row in found.explanation.sweep if row.eps == 0.5]
    assert same[0].outliers == found.summary["outliers"]
    settings["clusterer.min_samples"] = 3
    other = resight.cluster(features, settings=settings)
    assert other.summary["outliers"] < found.summary["outliers"]


def test_true_labels_are_the_identities():
    features, identities, _ = crowd()
    settings = {"clusterer.part": "TrueLabels"}
    found = resight.cluster(features, identities=identities, settings=settings)
    assert found.summary["against_identities"]["ari"] == 1
    with pytest.raises(ConfigError, match="TrueLabels needs crops with identities"):
        resight.cluster(features, settings=settings)


def test_a_folder_that_cannot_be_written_is_told_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResightError, match=r"cannot write to .*file/out: .*file is no folder"):
        resight.cluster("missing.npy", out=tmp_path / "file" / "out")


def test_an_empty_file_is_told(tmp_path):
    (tmp_path / "empty.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty.npy is not a NumPy file"):
        resight.cluster(tmp_path / "empty.npy")


@pytest.mark.parametrize(
    ("features", "arguments", "message"),
    [
        (np.ones((5, 4), int), {}, "expected .N, D. floating point"),
        (np.ones(5), {}, "expected .N, D. floating point"),
        (np.zeros((4, 3)), {}, "4 of 4 feature rows are zero, NaN or infinite .rows 0, 1, 2, 3."),
        (np.full((9, 3), np.nan), {}, "rows 0, 1, 2, 3, 4, …"),
        (np.eye(5), {"cameras": np.zeros(4, int)}, "cameras have shape .4,., expected .5,."),
        (np.eye(5), {}, "no k1 and eps separates these 5 features"),
        ("missing.npy", {}, "cannot read features from missing.npy: No such file"),
        (__file__, {}, "is not a NumPy file"),
    ],
)
def test_data_that_cannot_be_clustered_is_told(features, arguments, message):
    with pytest.raises(DataError, match=message):
        resight.cluster(features, **arguments)


def test_settings_that_do_not_exist_are_told():
    features = crowd()[0]
    with pytest.raises(ConfigError, match=r"memory.momentum: clustering has no such setting"):
        resight.cluster(features, settings={"memory.momentum": 0.1})
    with pytest.raises(ConfigError, match="needs images"):
        resight.cluster(features, settings={"graph.colour": 0.4})
    with pytest.raises(CostError, match="the memory limit is"):
        resight.cluster(features, memory="10K")


def test_sizes_in_words():
    assert bytes_of("8G") == bytes_of("8 GiB") == bytes_of("8gb") == bytes_of(8 * 2**30)
    assert bytes_of("1.5M") == 1.5 * 2**20
    assert bytes_of("700") == bytes_of("700B") == 700
    for word in ("", "x", "G", "-1G", "0", "1e999", "nan"):
        with pytest.raises(ConfigError, match="expected a size like 8G"):
            bytes_of(word)


def test_unknown_identities_are_not_judged():
    features, identities, _ = crowd()
    unknown = np.where(identities % 3 == 0, -1, identities)
    settings = {"clusterer.part": "DBSCAN", "clusterer.eps": 0.5, "graph.k1": 10}
    found = resight.cluster(features, identities=unknown, settings=settings)
    labels, inside = found.labels.labels, unknown >= 0
    expected = against_identities(labels[inside], identities[inside] + 1)
    assert found.summary["against_identities"] == pytest.approx(expected, nan_ok=True)
