"""What people decided about pairs holds in the pseudo-labels of every epoch."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from drawn import CAMERA, TINY
from interrupted import Stop, assert_equal_runs, stop_after
from little import Spy, learner_of, recipe_of
from typer.testing import CliRunner

import resight
from resight.cli import app
from resight.clustering import DBSCAN, HDBSCAN, HDC, InfoMap, KMeans, OnSample, Silhouette
from resight.clustering import AutoDBSCAN as Auto
from resight.clustering.constraints import Links, constrain, violated
from resight.clustering.numbering import by_first_member
from resight.clustering.silhouettes import silhouette
from resight.data import feedback
from resight.data.feedback import Crop, Decision, append
from resight.errors import Contradiction, DataError, NothingToLearnError, RunError
from resight.graph import Jaccard
from resight.recipe import Recipe
from resight.records import GLOBAL, Crops, Features, PseudoLabels
from resight.training import batches
from resight.training.epoch import links_of, run_epoch
from resight.training.feedback import check_decisions, find_links
from resight.training.plan import EpochPlan
from resight.training.pseudo_labels import Labelling, label
from resight.training.record import epoch_record
from resight.training.run_folder import RunFolder, RunSettings

N, GROUPS = 48, 8
TRUE = np.arange(N) % GROUPS


def links(must: Any = (), cannot: Any = ()) -> Links:
    return Links(*(np.array(list(p), np.int64).reshape(-1, 2) for p in (must, cannot)))


def drawn(seed: int = 0) -> Features:
    """Groups around random centres; the part sees other ones."""
    rng = np.random.default_rng(seed)

    def unit(of: Any) -> Any:
        rows = rng.normal(size=(GROUPS, 16))[of] + 0.3 * rng.normal(size=(N, 16))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    return Features({GLOBAL: unit(TRUE), "part1": unit(np.arange(N) // (N // GROUPS))})


@dataclass(frozen=True)
class Given:
    """A clusterer that finds what it was told."""

    labels: Any

    def __call__(self, graph: Any, features: Any, rng: Any) -> PseudoLabels:
        return PseudoLabels(np.array(self.labels))


def labelled(clusterer: Any, told: Links | None, **changed: Any) -> Labelling:
    recipe = Recipe(clusterer=clusterer, **{"graph": Jaccard(k1=6, k2=2)} | changed)
    plan = EpochPlan(title="", epoch=0, lr=1.0, losses=recipe.losses)
    return label(recipe, drawn(), np.random.default_rng(0), plan=plan, links=told)


def obeys(labels: Any, told: Links) -> bool:
    return not any(mask.any() for mask in violated(labels, *told))


CLUSTERERS = [
    DBSCAN(0.5),
    Auto(),
    HDBSCAN(),
    KMeans(n_clusters=6),
    HDC(n_clusters=6),
    InfoMap(),
    OnSample(0.5, DBSCAN(0.5)),
    DBSCAN(0.0),  # finds nothing and is rescued
]


@pytest.mark.parametrize("clusterer", CLUSTERERS, ids=str)
def test_every_clusterer_is_corrected(clusterer: Any) -> None:
    told = links(must=[(0, 1), (2, 13), (13, 5)], cannot=[(3, 11), (4, 12), (6, 7), (0, 8)])
    found = labelled(clusterer, told)
    assert obeys(found.pseudo.labels, told)
    before = labelled(clusterer, None)
    assert before.feedback is None
    assert before.rescue == found.rescue
    wrong = sum(int(mask.sum()) for mask in violated(before.pseudo.labels, *told))
    assert wrong > 0
    assert found.feedback == {"pairs": 7, "violated": wrong}


def test_links_that_the_clusters_obey_change_nothing() -> None:
    told = links(must=[(0, 8), (3, 11)], cannot=[(0, 1)])
    found, before = labelled(DBSCAN(0.5), told), labelled(DBSCAN(0.5), None)
    assert np.array_equal(found.pseudo.labels, before.pseudo.labels)
    assert found.feedback == {"pairs": 3, "violated": 0}
    assert labelled(DBSCAN(0.5), links()).feedback == {"pairs": 0, "violated": 0}


def test_what_follows_is_about_the_corrected_labels() -> None:
    told = links(must=[(0, 1)], cannot=[(2, 10)])
    found = labelled(Given(TRUE), told, confidence=Silhouette())
    graph = Jaccard(k1=6, k2=2)(drawn())
    expected = silhouette(graph, found.pseudo.labels)
    np.testing.assert_array_equal(found.silhouettes, expected)
    np.testing.assert_array_equal(found.pseudo.confidence, expected)
    assert set(found.anchors) - {-1} == set(range(found.pseudo.n_clusters))


def test_each_view_obeys() -> None:
    told = links(must=[(0, 1)], cannot=[(0, 8), (0, 2)])
    found = labelled(DBSCAN(0.5), told, individual_labels=True)
    assert obeys(found.pseudo.labels, told)
    assert obeys(found.views["part1"].pseudo.labels, told)
    assert not np.array_equal(found.pseudo.labels, found.views["part1"].pseudo.labels)


def test_crops_that_must_be_together_stay_in_a_cluster_that_is_too_large() -> None:
    """Of six members three random ones stay, and the linked ones."""
    told = links(must=[(0, 8), (8, 16), (16, 24), (1, 25)])
    for seed in range(5):
        recipe = Recipe(clusterer=Given(TRUE), graph=Jaccard(k1=6, k2=2), max_cluster_size=3)
        plan = EpochPlan(title="", epoch=0, lr=1.0, losses=recipe.losses)
        found = label(recipe, drawn(), np.random.default_rng(seed), plan=plan, links=told)
        free = label(recipe, drawn(), np.random.default_rng(seed), plan=plan)
        assert obeys(found.pseudo.labels, told)
        kept = free.pseudo.labels >= 0
        kept[told.must] = True
        assert np.array_equal(found.pseudo.labels, np.where(kept, TRUE, -1))


def test_a_small_cluster_stays_for_a_must_pair_alone() -> None:
    """A pair of outliers, and single crops that their cluster must let go."""
    before = np.where(np.arange(N) < 2, -1, TRUE)
    told = links(must=[(0, 1)], cannot=[(2, row) for row in range(10, N, GROUPS)])
    pieces = constrain(before, drawn().vectors, *told)
    assert np.count_nonzero(np.bincount(pieces[pieces >= 0]) == 1) >= 1
    labels = labelled(Given(before), told, min_cluster_size=3).pseudo.labels
    sizes = np.bincount(pieces[pieces >= 0], minlength=pieces.max() + 1)
    large = (pieces >= 0) & (sizes[pieces] >= 3) | (np.arange(N) < 2)
    assert np.array_equal(labels, by_first_member(np.where(large, pieces, -1)))
    assert labels[0] == labels[1] == 0


def test_decisions_that_leave_one_cluster_end_in_advice() -> None:
    with pytest.raises(NothingToLearnError, match="1 decided pairs leave 1 cluster of 2"):
        labelled(Given(np.arange(N) % 2), links(must=[(0, 1)]))


def crops_at(root: Path, splits: str = "tttttg") -> Crops:
    names = {"t": "train", "g": "gallery"}
    paths = tuple(f"{letter}.png" for letter in "abcdef")
    return Crops(root, paths, np.array([names[split] for split in splits]))


def decide(source: str | Path, pairs: str, same: bool = True) -> list[Decision]:
    """`"ab cd"` as two decisions."""
    crops = [[Crop(str(source), f"{letter}.png") for letter in pair] for pair in pairs.split()]
    return [Decision(*pair, same) for pair in crops]


TRAINED = np.arange(1, 5)  # b, c, d, e


@pytest.mark.parametrize("source", ["/data/town", "", "/data/./x/../town"])
def test_crops_are_found_by_source_and_path(source: str) -> None:
    told = decide(source, "bc ce") + decide(source, "db", same=False)
    told += decide("/data/lake", "be", same=False)
    found = find_links(told, crops_at(Path("/data/town")), TRAINED)
    assert found.must.tolist() == [[0, 1], [1, 3]]
    assert found.cannot.tolist() == [[0, 2]]


def test_a_part_or_the_whole_of_what_was_indexed_is_found(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "data")
    whole = Crop(str(tmp_path / "link"), "town/b.png"), Crop(str(tmp_path / "data"), "town/c.png")
    found = find_links([Decision(*whole, True)], crops_at(tmp_path / "data" / "town"), TRAINED)
    assert found.must.tolist() == [[0, 1]]


def test_the_last_word_counts_under_any_name_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    told = decide(tmp_path / "data", "bc") + decide(tmp_path / "link", "cb", same=False)
    found = find_links(told, crops_at(tmp_path / "data"), TRAINED)
    assert found.must.tolist() == []
    assert found.cannot.tolist() == [[0, 1]]


def test_after_a_move_paths_alone_tell(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "resight")
    told = decide("/old/town", "bc de") + decide("/old/lake", "ex xy")
    found = find_links(told, crops_at(Path("/data/town")), TRAINED)
    assert found.must.tolist() == [[0, 1]], "e is of two sources"
    assert "of 4 decided pairs, 1 are of training crops" in caplog.text
    assert "found by their paths alone" in caplog.text


def test_after_a_move_a_stray_path_of_ones_own_does_not_matter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = decide("/old/town", "bc") + decide("", "xy")
    found = find_links(told, crops_at(Path("/data/town")), TRAINED)
    assert found.must.tolist() == [[0, 1]]
    [record] = caplog.records
    assert record.levelname == "WARNING", "that these are the same files is a guess"
    assert "found by their paths alone" in record.message


@pytest.mark.parametrize("source", ["/data/\0", "/data/\ud800", "camera 7", "/" + "x" * 5000])
def test_sources_that_no_folder_can_have_are_names(source: str) -> None:
    told = decide(source, "bx") + decide(source, "xc") + decide("", "de")
    crops = crops_at(Path("/data/town"))
    check_decisions(told, crops)
    assert find_links(told, crops, TRAINED).must.tolist() == [[2, 3]]


def test_what_is_not_trained_on_links_what_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "resight")
    told = decide("", "bf fc ad") + decide("", "fd", same=False)
    found = find_links(told, crops_at(Path("/data/town")), TRAINED)
    assert found.must.tolist() == [[0, 1]]
    assert found.cannot.tolist() == [[0, 2]]
    assert "of 4 decided pairs, 0 are of training crops" in caplog.text
    assert "1 pairs must share a cluster and 1 cannot" in caplog.text


def test_no_decision_and_none_of_use_are_told(caplog: pytest.LogCaptureFixture) -> None:
    crops = crops_at(Path("/data/town"))
    assert not find_links([], crops, TRAINED)
    assert "no pair is decided yet" in caplog.text
    assert not find_links(decide("/lake", "xy"), crops, TRAINED)
    assert "of 1 decided pairs, 0 are of training crops" in caplog.text


def test_contradictions_are_seen_through_crops_that_are_not_here() -> None:
    told = decide("/town", "bx xc") + decide("", "cb", same=False)
    with pytest.raises(Contradiction, match=r"'b\.png' = 'x\.png' = 'c\.png'"):
        check_decisions(told, crops_at(Path("/town")))
    check_decisions(told[:2], crops_at(Path("/town")))


def test_in_a_sampled_epoch_only_what_is_drawn_counts() -> None:
    learner = learner_of(recipe_of(Spy()))
    told = links(must=[(0, 5), (5, 7)], cannot=[(5, 9)])
    found = links_of(replace(learner, links=told), np.array([0, 2, 7, 9, 11]))
    assert found is not None
    assert found.must.tolist() == [[0, 2]]
    assert found.cannot.tolist() == [[0, 3]]
    assert links_of(learner, np.arange(3)) is None


def test_an_epoch_tells_how_many_pairs_were_violated() -> None:
    told = links(must=[(0, 1)], cannot=[(0, 6), (0, 7)])
    learner = replace(learner_of(recipe_of(Spy())), links=told)
    result = run_epoch(learner, 0)
    assert result.labels[0] == result.labels[1] != result.labels[6]
    assert epoch_record(learner, 0, result, None)["feedback"] == {"pairs": 3, "violated": 2}


def name(identity: int, camera: int, shot: int) -> str:
    return f"{identity:04d}_c{camera}s1_{shot:06d}_00.png"


SAME = [(name(i, 1, 0), name(i, 2, 1)) for i in range(1, 9)]
DIFFERENT = [(name(i, 1, 0), name(i + 1, 1, 0)) for i in range(1, 9)]


@pytest.fixture
def gallery(crops: Path, tmp_path: Path) -> Path:
    """A gallery in which pairs of the drawn crops are decided truthfully."""
    folder = tmp_path / "gallery"
    folder.mkdir()
    (folder / "gallery.json").write_text("{}")
    for pairs, same in ((SAME, True), (DIFFERENT, False)):
        told = [[Crop(str(crops), path) for path in pair] for pair in pairs]
        append(folder / feedback.NAME, [Decision(*pair, same, 1.0, "anna") for pair in told])
    return folder


def train(data: Path, out: Path, told: Path | None, **changed: Any) -> Path:
    settings = TINY | changed
    return resight.train(
        data, out=out, settings=settings, camera_pattern=CAMERA, evaluate_every=1, feedback=told
    )


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def labels_of(file: Path) -> dict[str, int]:
    table = pq.read_table(file)
    return dict(zip(table["path"].to_pylist(), table["label"].to_pylist(), strict=True))


def test_a_run_obeys_in_every_epoch_and_is_resumed_alike(
    crops: Path,
    gallery: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "resight")
    whole = train(crops, tmp_path / "whole", gallery)
    for epoch in (1, 2):
        labels = labels_of(whole / "labels" / f"epoch_{epoch:03d}.parquet")
        assert all(labels[a] == labels[b] >= 0 for a, b in SAME)
        assert not any(labels[a] == labels[b] >= 0 for a, b in DIFFERENT)
    assert [record["feedback"]["pairs"] for record in log_of(whole)] == [16, 16]
    assert "of 16 decided pairs, 16 are of training crops" in caplog.text
    assert "of 16 decided pairs violated" in caplog.text
    assert "Decided pairs that the clusters violated" in (whole / "report.html").read_text()
    with monkeypatch.context() as patch:
        patch.setattr(batches, "train_step", stop_after(4, batches.train_step))
        with pytest.raises(Stop):
            train(crops, tmp_path / "run", gallery)
    (gallery / feedback.NAME).unlink()
    assert_equal_runs(resight.resume(tmp_path / "run"), whole)
    (whole / feedback.NAME).unlink()
    with pytest.raises(DataError, match=r"cannot read .*feedback\.jsonl"):
        resight.resume(whole)


def test_contradictions_end_before_anything_is_written(
    crops: Path, gallery: Path, tmp_path: Path
) -> None:
    (one, other), third = SAME[0], name(1, 2, 2)
    pair = Crop(str(crops), one), Crop(str(crops), third)
    append(gallery / feedback.NAME, [Decision(*pair, False)])
    append(gallery / feedback.NAME, [Decision(Crop(str(crops), other), pair[1], True)])
    with pytest.raises(Contradiction, match=rf"'{one}' = '{other}' = '{third}'") as raised:
        train(crops, tmp_path / "run", gallery)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_a_teacher_is_told_as_well(crops: Path, gallery: Path, tmp_path: Path) -> None:
    teacher = {"teacher.warm_up": 1.0, "teacher.epochs": 1, "optim.epochs": 1}
    run = train(crops, tmp_path / "run", gallery, **teacher)
    for place in (run, run / "teacher"):
        assert all("feedback" in record for record in log_of(place))
        assert RunFolder.open(place).decisions() == feedback.read(gallery)


def test_a_start_that_was_cut_short_can_be_made_again(gallery: Path, tmp_path: Path) -> None:
    told, settings = feedback.read(gallery), RunSettings("data", "data", feedback="gallery")
    place = tmp_path / "run"
    RunFolder.create(place, Recipe(), settings, told)
    (place / "run.json").unlink()
    assert RunFolder.create(place, Recipe(), settings, told[:3]).decisions() == told[:3]
    for name in ("run.json", "recipe.yaml"):
        (place / name).unlink()
    with pytest.raises(RunError, match="holds other files"):
        RunFolder.create(place, Recipe(), settings, told)


def test_a_draft_of_an_export_does_not_keep_a_run_from_going_on(tmp_path: Path) -> None:
    """Exports are made in the run's folder, as folders; a killed one leaves its draft."""
    run = RunFolder.create(tmp_path / "run", Recipe(), RunSettings("data", "data"))
    draft = run.path / "export" / ".onnx-plain.123.tmp"
    draft.mkdir(parents=True)
    (run.path / ".log.jsonl.123.tmp").write_text("half")
    with run.lock():
        assert draft.is_dir()
        assert not (run.path / ".log.jsonl.123.tmp").exists()


def test_the_command_line_takes_feedback(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr("resight.api.train", lambda data, **options: asked.update(options))
    result = CliRunner().invoke(app, ["train", "town", "--feedback", "g/feedback.jsonl"])
    assert result.exit_code == 0, result.output
    assert asked["feedback"] == Path("g/feedback.jsonl")
