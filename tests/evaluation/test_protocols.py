"""Every protocol against its definition, answer by answer in float64."""

from collections import defaultdict

import numpy as np
import pytest
from evaluation_answers import agree, attempt, everything, lists_of, sides, tied
from evaluation_cases import make_crops, smooth_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.errors import ConfigError, DataError
from resight.evaluation import PROTOCOLS, Options, evaluate
from resight.records import Features

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None)


@quick
@given(SEEDS, st.sampled_from(["market1501", "veri776", "cuhk03"]))
def test_benchmark_rule(seed, protocol):
    rng = np.random.default_rng(seed)
    crops = everything(rng)
    features = tied(crops, rng)
    ids, cameras = crops.identities, crops.cameras
    table = features.vectors @ features.vectors.T
    lists = lists_of(
        crops, table, *sides(crops), lambda q, g: ids[q] != ids[g] or cameras[q] != cameras[g]
    )
    found = attempt(features, crops, lists, protocol=protocol)
    if found:
        agree(found, lists)
        assert found.protocol == protocol


@quick
@given(SEEDS)
def test_veri776_track(seed):
    rng = np.random.default_rng(seed)
    crops = everything(rng)
    features = tied(crops, rng)
    ids, cameras, tracks = crops.identities, crops.cameras, crops.tracks
    queries, gallery = sides(crops)
    members = defaultdict(list)
    for g in gallery:
        if tracks[g] >= 0 and ids[g] != -1:
            members[tracks[g]].append(g)
    distances = np.round(1 - features.vectors.astype(float) @ features.vectors.T, 12)
    lists = [
        [
            (-min(distances[q, g] for g in rows), ids[rows[0]] == ids[q])
            for rows in members.values()
            if ids[rows[0]] != ids[q] or cameras[rows[0]] != cameras[q]
        ]
        for q in queries
        if ids[q] > 0
    ]
    found = attempt(features, crops, lists, protocol="veri776-track")
    if found:
        agree(found, lists)
        assert found.notes[0].startswith(f"{len(members)} gallery tracks")


@quick
@given(SEEDS, st.sampled_from([0.0, 3.0, 100.0]), st.sampled_from(["both", "tracks", "times"]))
def test_time_excluded(seed, within, known):
    rng = np.random.default_rng(seed)
    crops = everything(rng, 40)
    times = crops.times if known != "tracks" else None
    tracks = crops.tracks if known != "times" else None
    within = within if known != "tracks" else 0.0
    crops = make_crops(crops.identities, crops.cameras, tracks=tracks, times=times)
    features = tied(crops, rng)

    def counts(q, g):
        same_track = tracks is not None and tracks[q] == tracks[g] >= 0
        near = times is not None and abs(times[q] - times[g]) <= within
        return q != g and not same_track and not (near and crops.cameras[q] == crops.cameras[g])

    table = features.vectors @ features.vectors.T
    lists = lists_of(crops, table, range(40), range(40), counts)
    options = Options(within=within)
    found = attempt(features, crops, lists, protocol="time-excluded", options=options)
    if found:
        agree(found, lists)


@quick
@given(SEEDS)
def test_multi_query(seed):
    rng = np.random.default_rng(seed)
    crops = everything(rng)
    features = Features({"global": smooth_vectors(rng, len(crops), 24)})
    ids, cameras = crops.identities, crops.cameras
    queries, gallery = sides(crops)
    vectors = features.vectors.astype(float)
    groups = sorted({(ids[q], cameras[q]) for q in queries if ids[q] > 0})
    lists = []
    for identity, camera in groups:
        mean = np.mean(
            [vectors[q] for q in queries if (ids[q], cameras[q]) == (identity, camera)], axis=0
        )
        lists.append(
            [
                (vectors[g] @ mean, ids[g] == identity)
                for g in gallery
                if ids[g] != -1 and (ids[g], cameras[g]) != (identity, camera)
            ]
        )
    found = attempt(features, crops, lists, protocol="multi-query")
    if found:
        agree(found, lists)
        assert found.notes[0].startswith(f"{len(groups)} queries made of")


def test_multi_query_of_single_images_is_market1501():
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(1, 9), 4)
    crops = make_crops(ids, np.tile([0, 1, 1, 2], 8), np.tile(["query"] + ["gallery"] * 3, 8))
    features = Features({"global": smooth_vectors(rng, 32)})
    found = evaluate(features, crops, protocol="multi-query")
    assert "figures are those of market1501" in found.notes[0]
    assert found.figures == evaluate(features, crops, protocol="market1501").figures


@quick
@given(SEEDS, st.booleans())
def test_cuhk03_classic(seed, with_splits):
    """Each gallery is read off the scores; then it must be a lawful draw, and figures follow."""
    rng = np.random.default_rng(seed)
    crops = everything(rng, 40, n_ids=6)
    if not with_splits:
        crops = make_crops(
            crops.identities, crops.cameras, np.where(rng.random(40) < 0.3, "train", "gallery")
        )
    features = Features({"global": smooth_vectors(rng, 40, 24)})
    ids, cameras = crops.identities, crops.cameras
    held = np.flatnonzero(crops.splits != "train")
    queries, pool = sides(crops) if with_splits else (held, held)
    expected = [q for q in queries if ids[q] > 0]
    shown = set(ids[expected])
    expected = [
        q for q in expected if any(ids[g] == ids[q] and cameras[g] != cameras[q] for g in pool)
    ]
    asked = []

    def spy(query, gallery, rows):
        named = [[int(path[:4]) for path in side.crops.paths] for side in (query, gallery)]
        asked.append((np.array(named[0])[rows], np.array(named[1])))
        yield rows, query.vectors[rows] @ gallery.vectors.T

    options = Options(trials=3, seed=seed)
    how = {"protocol": "cuhk03-classic", "options": options, "scores": spy}
    if not expected:
        with pytest.raises(DataError, match="was seen by another"):
            evaluate(features, crops, **how)
        return
    found = evaluate(features, crops, **how)
    table = features.vectors.astype(float) @ features.vectors.T
    lists = []
    for searched, gallery in asked:
        (camera,) = set(cameras[searched])
        assert camera not in cameras[gallery]
        assert set(gallery) <= set(pool)
        others = {ids[g] for g in pool if cameras[g] != camera}
        assert sorted(ids[gallery]) == sorted(others & shown)
        lists += [[(table[q, g], ids[q] == ids[g]) for g in gallery] for q in searched]
    assert sorted(np.concatenate([q for q, _ in asked])) == sorted(expected * 3)
    agree(found, lists)
    n = len(set(ids[expected]))
    assert f"{n} identities, mean over 3 random galleries, seed {seed}" in found.notes


def test_cuhk03_classic_draws_differ_and_repeat():
    rng = np.random.default_rng(0)
    crops = make_crops(np.repeat(np.arange(1, 11), 6), np.tile([0, 0, 0, 1, 1, 1], 10))
    features = Features({"global": smooth_vectors(rng, 60)})
    runs = [
        evaluate(features, crops, protocol="cuhk03-classic", options=Options(trials=4, seed=s))
        for s in (0, 0, 1)
    ]
    assert runs[0].figures == runs[1].figures != runs[2].figures
    draws = runs[0].ranking.first.reshape(4, 60)
    assert len({tuple(one) for one in draws}) == 4
    assert len(runs[0].queries) == 240


@pytest.mark.parametrize("protocol", [name for name in PROTOCOLS if name != "label-free"])
@pytest.mark.parametrize("equal", [False, True])
def test_small_data_with_every_protocol(protocol, equal):
    """Four gallery crops: rank 10 is whether there is a match; equal features find nothing."""
    crops = make_crops(
        [1, 2, 1, 2, 1, 2],
        [0, 0, 1, 1, 2, 2],
        ["query"] * 2 + ["gallery"] * 4,
        tracks=[1, 2, 3, 4, 5, 6],
        times=np.arange(6),
    )
    vectors = smooth_vectors(np.random.default_rng(0), 1 if equal else 6)
    features = Features({"global": np.repeat(vectors, 6, axis=0) if equal else vectors})
    found = evaluate(features, crops, protocol=protocol)
    assert found.figures["rank10"] == 100
    assert all(0 <= value <= 100 for value in found.figures.values())
    if equal and protocol != "open-set":  # there, a single identity is left
        assert found.figures["rank1"] == 0


@pytest.mark.parametrize(
    ("protocol", "crops", "words"),
    [
        ("veri776-track", make_crops([1, 1], [0, 1], ["query", "gallery"]), "no tracks"),
        ("time-excluded", make_crops([1, 1], [0, 1]), "neither tracks nor times"),
        ("multi-query", make_crops([1, 1], None, ["query", "gallery"]), "no cameras"),
        ("cuhk03-classic", make_crops([1, 1]), "no cameras"),
        (
            "cuhk03-classic",
            make_crops([1, 1, 2], [0, 0, 0]),
            "none of 3 queries was seen by another of 1 cameras",
        ),
        ("veri776-track", make_crops([1, 1], tracks=[0, 1]), "0 query and 0 gallery"),
    ],
)
def test_what_a_protocol_lacks_is_said(protocol, crops, words):
    with pytest.raises(DataError, match=words):
        evaluate(tied(crops, np.random.default_rng(0)), crops, protocol=protocol)


def test_seconds_without_times_are_refused():
    crops = make_crops([1, 1], tracks=[0, 1])
    with pytest.raises(DataError, match=r"no times.*5 seconds"):
        evaluate(
            tied(crops, np.random.default_rng(0)),
            crops,
            protocol="time-excluded",
            options=Options(within=5),
        )


@pytest.mark.parametrize(("what", "ids", "cameras"), [("identities", 2, 1), ("cameras", 1, 0)])
def test_tracks_that_mix_are_refused(what, ids, cameras):
    crops = make_crops(
        [1, 1, ids], [0, 1, cameras], ["query", "gallery", "gallery"], tracks=[-1, 7, 7]
    )
    with pytest.raises(DataError, match=f"mix {what} .*track 7"):
        evaluate(tied(crops, np.random.default_rng(0)), crops, protocol="veri776-track")


def test_without_cameras_all_crops_are_of_one_moment():
    crops = make_crops([1, 1, 1, 2], times=[0, 4, 9, 9])
    features = Features({"global": np.eye(4, dtype=np.float32)})
    options = Options(within=4)
    found = evaluate(features, crops, protocol="time-excluded", options=options)
    assert "4 answers within 4 s of the query removed" in found.notes
    assert found.ranking.n_queries == 3


def test_what_is_removed_is_counted():
    crops = make_crops(
        [1, 0, 1, 1, -1, 0, 2], [0, 0, 0, 1, 1, 1, 1], ["query"] * 2 + ["gallery"] * 4 + ["train"]
    )
    found = evaluate(tied(crops, np.random.default_rng(0)), crops)
    assert found.notes == (
        "1 crops of split train not used",
        "1 queries without a labelled identity not searched for",
        "1 gallery crops with identity -1 (junk) removed",
        "1 gallery crops with identity 0 (distractors) are wrong for every query",
        "1 answers of the query's own identity in its own camera removed (1.0 a query)",
    )


def test_options_that_a_protocol_does_not_use_are_refused():
    crops = make_crops([1, 1, 2, 2], [0, 1, 0, 1])
    features = tied(crops, np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"'all' does not use within, seed \(its options: ap\)"):
        evaluate(features, crops, protocol="all", options=Options(within=1, seed=4))
    assert evaluate(features, crops, protocol="all", options=Options(ap="market")).figures
    with pytest.raises(ConfigError, match="'label-free' does not use ap"):
        evaluate(features, crops, protocol="label-free", options=Options(ap="market"))


def test_features_of_zeros_have_no_clusters():
    crops = make_crops(n=40)
    vectors = smooth_vectors(np.random.default_rng(0), 40)
    vectors[5] = 0
    with pytest.raises(DataError, match="1 of 40 crops have features of zeros"):
        evaluate(Features({"global": vectors}), crops)


def test_distractors_of_camera_pairs_are_counted():
    crops = make_crops([1, 1, 0, 0, -1], [0, 1, 0, 1, 1])
    found = evaluate(tied(crops, np.random.default_rng(0)), crops, protocol="camera-pairs")
    assert found.notes == (
        "1 crops with identity -1 (junk) removed",
        "2 crops with identity 0 (distractors) are wrong for every query",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"ap": "mean"},
        {"within": -1},
        {"within": float("nan")},
        {"far": ()},
        {"far": (0.1, 1)},
        {"trials": 0},
        {"unknown": 1},
        {"seed": -1},
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Options(**wrong)
