"""`resight evaluate`: protocols, their options, and what is printed and written."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from drawn import TINY, draw
from drawn import save as save_picture

import resight as package
from resight.api.evaluating import protocols
from resight.errors import ConfigError
from resight.evaluation import PROTOCOLS
from resight.models import build_encoder, save
from resight.recipe import Recipe
from resight.training.run_folder import RunFolder, RunSettings

LABELLED = r"(?P<identity>\d+)_c(?P<camera>\d)s1_(?P<time>\d+)"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a model, without the training, on twelve individuals that are hard to tell."""
    place = tmp_path_factory.mktemp("evaluate")
    path, crops = place / "run", place / "crops"
    rng = np.random.default_rng(0)
    for identity in range(12):
        pattern = rng.integers(0, 256, (8, 4, 3))
        for shot in range(6):
            name = f"{identity + 1:04d}_c{shot // 3 + 1}s1_{shot % 3:06d}.png"
            save_picture(pattern + rng.normal(0, 250, pattern.shape), crops / name)
    recipe = Recipe().override(TINY)
    RunFolder.create(path, recipe, RunSettings(str(crops), str(crops), camera_pattern=LABELLED))
    save(build_encoder(recipe.encoder), path, size=recipe.size)
    return path


def evaluated(run: Path, name: str = "evaluation") -> dict[str, Any]:
    return dict(json.loads((run / f"{name}.json").read_text()))


def test_protocols_are_listed_with_a_line_and_their_options(resight: Any) -> None:
    result = resight("evaluate", "--protocols")
    assert result.code == 0
    told = " ".join(result.out.split())
    for name, listed in protocols().items():
        assert name in told
        assert len(listed.line) <= 100
    assert "--within" in told
    assert protocols() is PROTOCOLS


def test_figures_come_with_intervals_and_both_rules(run: Path, resight: Any) -> None:
    result = resight("evaluate", run)
    assert result.code == 0
    assert "mAP_market" in result.out
    assert "95% interval" in result.out
    found = evaluated(run)
    assert set(found["intervals"]) == set(found["figures"])
    for name, (low, high) in found["intervals"].items():
        assert low <= found["figures"][name] <= high


def test_each_counted_query_has_a_row(run: Path) -> None:
    found = package.evaluate(run)
    rows = pq.read_table(run / "evaluation.parquet").to_pydict()
    assert len(rows["path"]) == found["queries"] == len(set(rows["path"]))
    for name, column in (("mAP", "ap_step"), ("mAP_market", "ap_market"), ("mINP", "inp")):
        assert found["figures"][name] == pytest.approx(100 * np.mean(rows[column]))
    assert found["figures"]["rank1"] == pytest.approx(100 * np.mean(np.array(rows["first"]) == 1))
    for path, identity, camera in zip(rows["path"], rows["identity"], rows["camera"], strict=True):
        assert Path(path).name.startswith(f"{identity}_c{camera}")


def test_a_protocol_that_ranks_nothing_leaves_no_rows(run: Path) -> None:
    package.evaluate(run)
    found = package.evaluate(run, protocol="label-free")
    assert not (run / "evaluation.parquet").exists()
    assert "intervals" not in found


def test_camera_pairs_have_a_row_for_each_gallery(run: Path, resight: Any) -> None:
    found = package.evaluate(run, protocol="camera-pairs", baselines=True)
    rows = pq.read_table(run / "evaluation.parquet").to_pandas()
    assert len(rows) == found["queries"] == len(rows[["path", "gallery_camera"]].drop_duplicates())
    pairs = rows.assign(rank1=rows["first"] == 1).groupby(["camera", "gallery_camera"])
    for name, column in (("mAP", "ap_step"), ("mINP", "inp"), ("rank1", "rank1")):
        assert found["figures"][name] == pytest.approx(100 * pairs[column].mean().mean())
        low, high = found["intervals"][name]
        assert low <= found["figures"][name] <= high
    wrong = rows["first_wrong_camera"]
    assert (wrong[rows["first"] > 1] == rows["gallery_camera"][rows["first"] > 1]).all()
    assert wrong[rows["first"] == 1].isna().all()
    assert found["ranked_lists"]
    for row in [found, *found["comparison"]]:
        assert row["cmc"][0] == pytest.approx(row["figures"]["rank1"])
    compared = resight("compare", run, run)
    assert compared.code == 0
    assert f"{found['figures']['mAP']:.1f}" in compared.out


def test_rows_never_stand_beside_other_figures(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package.evaluate(run)
    replace = os.replace

    def full(source: Any, target: Any) -> None:
        if str(target).endswith(".parquet"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(package.ResightError, match="No space left"):
            package.evaluate(run, protocol="all")
    assert evaluated(run)["protocol"] == "all"
    assert not (run / "evaluation.parquet").exists()


def test_individuals_seen_once_have_label_free_figures(run: Path, tmp_path: Path) -> None:
    crops = draw(tmp_path / "once", cameras=1, shots=1)
    found = package.evaluate(run, crops, camera_pattern=LABELLED, protocol="label-free")
    assert found["figures"]["clusters"] >= 0
    assert found["ranked_lists"] == []


def test_options_reach_the_protocol(run: Path, resight: Any) -> None:
    result = resight("evaluate", run, "--protocol", "time-excluded", "--within", 1)
    assert result.code == 0
    assert "answers within 1 s of the query in its own camera removed" in result.err
    near = package.evaluate(run, protocol="time-excluded", within=1.0)["figures"]
    assert near == evaluated(run)["figures"]
    assert near != package.evaluate(run, protocol="time-excluded")["figures"]
    result = resight("evaluate", run, "--protocol", "open-set", "--far", 0.2, "--seed", 3)
    assert result.code == 0
    assert "DIR@0.2" in result.out
    assert "(50%, seed 3) are left out of the gallery" in result.err
    assert len(evaluated(run)["curves"]["FAR"]) > 2
    drawn = package.evaluate(run, protocol="cuhk03-classic", trials=2)
    assert "12 identities, mean over 2 random galleries, seed 0" in drawn["notes"]


def test_an_option_of_another_protocol_is_a_mistake(run: Path, resight: Any) -> None:
    result = resight("evaluate", run, "--protocol", "all", "--within", 5)
    assert result.code == 2
    assert "'all' does not use within" in " ".join(result.err.split())


@pytest.mark.parametrize(
    "wrong", [{"protocol": "crossed"}, {"within": 5.0}, {"protocol": "label-free", "ap": "market"}]
)
def test_mistakes_are_told_before_the_work(
    run: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    def embed(*_: Any, **__: Any) -> None:
        raise AssertionError("features were extracted")

    monkeypatch.setattr("resight.api.evaluating.extract", embed)
    with pytest.raises(ConfigError, match=r"does not exist|does not use"):
        package.evaluate(run, **wrong)


def test_other_data_never_replace_the_evaluation_of_the_own(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package.evaluate(run)
    before = (run / "evaluation.json").read_text()
    monkeypatch.chdir(run.parent / "crops")
    for data in (".", "../crops", "../crops/"):
        package.evaluate(run, data, camera_pattern=LABELLED, protocol="all")
        assert (run / "evaluation.json").read_text() == before
        assert evaluated(run, "evaluation-crops")["protocol"] == "all"
        (run / "evaluation-crops.json").unlink()
    assert not (run / "evaluation-...json").exists()


def test_crops_of_split_train_are_counted(run: Path, tmp_path: Path) -> None:
    rows = [f"{file},{file.name[:4]},{file.name[6]}" for file in (run.parent / "crops").iterdir()]
    splits = ["train", "query", "gallery"] * 24
    table = tmp_path / "crops.csv"
    table.write_text(
        "path,identity,camera,split\n"
        + "".join(f"{row},{split}\n" for row, split in zip(sorted(rows), splits, strict=True))
    )
    for protocol in ("market1501", "all"):
        found = package.evaluate(run, table, protocol=protocol)
        assert "24 crops of split train not used" in found["notes"]
        assert found["crops"]["count"] == 48
    notes = package.evaluate(run, table, protocol="label-free")["notes"]
    assert not any("train" in note for note in notes)


def test_copies_between_query_and_gallery_are_counted(run: Path, tmp_path: Path) -> None:
    crops = tmp_path / "crops"
    shutil.copytree(run.parent / "crops", crops)
    files = sorted(crops.iterdir())
    assert not any("byte for byte" in note for note in package.evaluate(run)["notes"])
    for file in files[:3]:
        shutil.copy(file, file.with_stem(f"{file.stem}9"))
    note = "6 crops are among the others too, byte for byte: `resight data check` names them"
    assert note in package.evaluate(run, crops, camera_pattern=LABELLED)["notes"]
    rows = [f"{file},{file.name[:4]},{file.name[6]}" for file in sorted(crops.iterdir())]
    splits = ["query", "gallery"] * len(rows)
    table = tmp_path / "crops.csv"
    table.write_text(
        "path,identity,camera,split\n"
        + "".join(f"{row},{split}\n" for row, split in zip(rows, splits, strict=False))
    )
    found = package.evaluate(run, table, protocol="market1501")
    note = "3 queries are in the gallery too, byte for byte: `resight data check` names them"
    assert note in found["notes"]
    assert not any(
        "byte" in n for n in package.evaluate(run, table, protocol="label-free")["notes"]
    )


def test_what_an_evaluation_is_of_is_kept(run: Path) -> None:
    plain, near = package.evaluate(run), package.evaluate(run, protocol="time-excluded", within=1)
    assert plain["crops"] == near["crops"]
    assert plain["crops"]["count"] == 72
    assert (plain["options"], near["options"]) == ({}, {"within": 1})


def test_ranked_lists_of_another_protocol_are_called_so(run: Path) -> None:
    found = package.evaluate(run, protocol="camera-pairs")
    assert found["notes"][-1] == "the ranked lists are those of protocol 'cross-camera'"
    assert not any("ranked lists" in note for note in package.evaluate(run)["notes"])


def test_the_matrix_of_camera_pairs_is_printed(run: Path, resight: Any) -> None:
    result = resight("evaluate", run, "--protocol", "camera-pairs")
    matrix = evaluated(run)["matrices"]["mAP"]
    lines = [line.split() for line in result.out.splitlines()]
    start = next(i for i, line in enumerate(lines) if line[:2] == ["mAP:", "camera"])
    assert lines[start + 1] == ["1", "2"]
    assert lines[start + 2] == ["1", "–", f"{matrix[0][1]:.1f}"]
    assert lines[start + 3] == ["2", f"{matrix[1][0]:.1f}", "–"]


def test_label_free_figures_are_no_percentages(run: Path, resight: Any) -> None:
    result = resight("evaluate", run, "--protocol", "label-free")
    figures = evaluated(run)["figures"]
    shown = dict(line.split() for line in result.out.splitlines()[2:])
    assert shown["clusters"] == str(int(figures["clusters"]))
    assert float(shown["silhouette"]) == pytest.approx(figures["silhouette"], abs=5e-4)
    assert f"silhouette {shown['silhouette']}" in result.err


@pytest.mark.parametrize(
    ("option", "file", "called"),
    [
        (["--rerank"], "evaluation-reranked", "re-ranked, k1 20, k2 6, lambda 0.3"),
        (["--expand", 3], "evaluation-expanded", "queries expanded by 3 answers"),
    ],
)
def test_other_scores_are_always_named(
    run: Path, resight: Any, option: list[Any], file: str, called: str
) -> None:
    plain = package.evaluate(run)
    result = resight("evaluate", run, *option, "--baselines")
    assert result.code == 0
    assert f"cross-camera, {called}\n" in result.out
    found = evaluated(run, file)
    assert found["scores"] == found["notes"][0] == called
    assert all(row["name"].endswith(called) for row in found["comparison"])
    assert found["figures"] != plain["figures"]
    assert (run / f"{file}.parquet").exists()
    assert evaluated(run)["figures"] == plain["figures"]
    assert "scores" not in plain


def test_only_the_first_answers_are_reranked(run: Path, resight: Any) -> None:
    package.evaluate(run, rerank=True)
    whole = evaluated(run, "evaluation-reranked")
    result = resight("evaluate", run, "--rerank", "--rerank-top", 2)
    assert result.code == 0
    called = "re-ranked, k1 20, k2 6, lambda 0.3, first 2 answers"
    assert f"cross-camera, {called}\n" in result.out
    found = evaluated(run, "evaluation-reranked")
    assert (found["rerank"], found["rerank_top"], found["scores"]) == (True, 2, called)
    assert found["figures"] != whole["figures"]
    assert "rerank_top" not in whole


def test_choices_that_exclude_each_other(run: Path) -> None:
    with pytest.raises(ConfigError, match="rerank_top is 5, which needs rerank"):
        package.evaluate(run, rerank_top=5)
    with pytest.raises(ConfigError, match="rerank_top is 0; give 1 or more"):
        package.evaluate(run, rerank=True, rerank_top=0)
    with pytest.raises(ConfigError, match="alternatives"):
        package.evaluate(run, rerank=True, expand=3)
    with pytest.raises(ConfigError, match="ranks nothing"):
        package.evaluate(run, protocol="label-free", rerank=True)
    with pytest.raises(ConfigError, match="expand is 0"):
        package.evaluate(run, expand=0)
