"""Thresholds against dense float64 tables of all pairs."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import exact_vectors, smooth_vectors

from resight.errors import ConfigError, DataError, RunError
from resight.evaluation import pairs
from resight.evaluation.calibration import calibrate
from resight.evaluation.pairs import WIDTH
from resight.evaluation.threshold import PARTS, WEIGHTS, Threshold
from resight.files import digest_of


def case(seed, n=150, vectors=smooth_vectors, n_ids=12):
    rng = np.random.default_rng(seed)
    identities = rng.integers(-1, n_ids, n)
    centres = vectors(rng, n_ids + 1)
    rows = (
        centres[identities] + 0.6 * vectors(rng, n)
        if vectors is smooth_vectors
        else vectors(rng, n)
    )
    return rows.astype(np.float32), identities, rng.integers(0, 3, n)


def dense(vectors, identities, cameras):
    """Similarities of genuine and of impostor pairs."""
    exact = vectors.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    i, j = np.triu_indices(len(exact), 1)
    counts = (identities[i] >= 0) & (identities[j] >= 0)
    counts &= (identities[i] > 0) | (identities[j] > 0)
    if cameras is not None:
        counts &= cameras[i] != cameras[j]
    same = identities[i] == identities[j]
    similarities = (exact[i] * exact[j]).sum(axis=1)
    return similarities[counts & same], similarities[counts & ~same]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("far", [0.01, 0.2])
@pytest.mark.parametrize("with_cameras", [True, False])
def test_threshold_is_the_quantile_of_the_dense_table(seed, far, with_cameras, monkeypatch):
    monkeypatch.setattr(pairs, "TILE_ROWS", 32)
    monkeypatch.setattr(pairs, "TILE_COLUMNS", 50)
    vectors, identities, cameras = case(seed)
    cameras = cameras if with_cameras else None
    genuine, impostor = dense(vectors, identities, cameras)
    found = calibrate(vectors, identities, cameras, far=far)
    allowed = int(far * len(impostor))
    lowest = np.sort(impostor)[::-1][allowed]  # accepting from here on would be one too many
    assert lowest - 2e-6 <= found.similarity <= lowest + WIDTH + 2e-6
    assert found.false_accept.pairs == len(impostor)
    assert found.false_reject.pairs == len(genuine)
    below, above = found.similarity - 2e-6, found.similarity + 2e-6  # float32 rounds between these
    assert (impostor >= above).sum() <= found.false_accept.errors <= (impostor >= below).sum()
    assert (genuine < below).sum() <= found.false_reject.errors <= (genuine < above).sum()
    assert found.false_accept.value <= far
    for rate in (found.false_accept, found.false_reject):
        assert 0 <= rate.low <= rate.value <= rate.high <= 1
        assert rate.low < rate.high
    assert found.crops == np.count_nonzero(identities >= 0)
    assert found.identities == len(np.unique(identities[identities > 0]))
    assert found.cross_camera == with_cameras
    assert found.distance == 1 - found.similarity


def test_ties_are_accepted_together_or_not_at_all():
    """Cosines are multiples of 1/4: the quantile falls within a mass of equal similarities."""
    vectors, identities, cameras = case(1, n=200, vectors=exact_vectors)
    genuine, impostor = dense(vectors, identities, cameras)
    found = calibrate(vectors, identities, cameras, far=0.15)
    above = sorted(s for s in {*impostor.tolist()} if np.mean(impostor >= s) <= 0.15)[0]
    assert above - 0.25 < found.similarity <= above
    assert found.false_accept.errors == (impostor >= above).sum()
    assert found.false_reject.errors == (genuine < above).sum()
    assert found.similarity == above - 0.25 + WIDTH


def test_histograms_hold_every_pair():
    vectors, identities, cameras = case(2)
    genuine, impostor = dense(vectors, identities, cameras)
    found = calibrate(vectors, identities, cameras, far=0.1)
    for counts, similarities in ((found.genuine, genuine), (found.impostor, impostor)):
        assert len(counts) == PARTS
        expected = np.histogram(similarities, PARTS, (-1, 1))[0]
        assert np.abs(np.cumsum(counts) - np.cumsum(expected)).max() <= 1
        assert sum(counts) == len(similarities)


def test_equal_impostors_at_the_top_leave_nothing_to_accept():
    """Copies under different names cannot be told apart: not even they are accepted."""
    rows = np.repeat(exact_vectors(np.random.default_rng(3), 1), 40, axis=0)
    found = calibrate(rows, np.arange(40) // 2 + 1, far=0.1)
    assert found.similarity > 1
    assert found.false_accept.errors == 0
    assert found.false_accept.high > 0.1
    assert found.false_reject.value == 1
    assert not found.accepts(rows[:1] @ rows.T).any()


def test_accepts_what_calibration_accepted():
    vectors, identities, cameras = case(4)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = calibrate(unit, identities, cameras, far=0.05)
    accepted = found.accepts(unit @ unit.T)
    i, j = np.triu_indices(len(unit), 1)
    wrong = (identities[i] >= 0) & (identities[j] >= 0) & (identities[i] != identities[j])
    wrong &= cameras[i] != cameras[j]
    assert abs(accepted[i, j][wrong].sum() - found.false_accept.errors) <= 1


def test_written_and_read_back(tmp_path):
    vectors, identities, _ = case(5)
    found = calibrate(vectors, identities, far=0.1, source="pseudo-labels", notes=("a", "b"))
    found.write(tmp_path / "threshold.json")
    assert Threshold.read(tmp_path) == Threshold.read(tmp_path / "threshold.json") == found
    plain = json.loads((tmp_path / "threshold.json").read_text())
    assert plain["distance"] == found.distance
    assert plain["false_accept"]["rate"] == found.false_accept.value


def test_files_that_cannot_be_read_are_told(tmp_path):
    file = tmp_path / "threshold.json"
    with pytest.raises(RunError, match="does not exist: write it with"):
        Threshold.read(tmp_path)
    vectors, identities, _ = case(6)
    calibrate(vectors, identities, far=0.1).write(file)
    whole = json.loads(file.read_text())
    lacking = {key: value for key, value in whole.items() if key != "far"}
    for text, told in (
        ("{", "cannot be read"),
        ("[]", "damaged"),
        (json.dumps({**whole, "format": 99}), "update resight"),
        (json.dumps(lacking), "damaged"),
        (json.dumps({**whole, "genuine": [1]}), "256 parts"),
        (json.dumps({**whole, "false_accept": 3}), "damaged"),
        (json.dumps({**whole, "weights": 3}), "damaged"),
    ):
        file.write_text(text)
        with pytest.raises(RunError, match=told):
            Threshold.read(file)


def test_a_threshold_that_accepts_nothing_says_so():
    rows = np.repeat(exact_vectors(np.random.default_rng(3), 1), 40, axis=0)
    found = calibrate(rows, np.arange(40) // 2 + 1, far=0.1, notes=("first",))
    assert found.notes[0] == "first"
    assert "accepts no pair at all" in found.notes[1]
    vectors, identities, _ = case(1)
    assert calibrate(vectors, identities, far=0.1).notes == ()


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_features_of_other_precision_count_as_float32(dtype):
    vectors, identities, cameras = case(6)
    vectors = vectors.astype(dtype)
    expected = calibrate(vectors.astype(np.float32), identities, cameras, far=0.1)
    assert calibrate(vectors, identities, cameras, far=0.1) == expected


def test_other_weights_beside_a_threshold_are_noticed(tmp_path, caplog):
    vectors, identities, _ = case(5)
    (tmp_path / WEIGHTS).write_bytes(b"first")
    digest = hashlib.sha256(b"first").hexdigest()
    found = replace(calibrate(vectors, identities, far=0.1), weights=digest_of(tmp_path / WEIGHTS))
    assert found.weights == digest
    found.write(tmp_path / "threshold.json")
    for path in (tmp_path, tmp_path / "threshold.json"):
        assert Threshold.read(path) == found
    assert not caplog.records
    (tmp_path / WEIGHTS).write_bytes(b"second")
    for path in (tmp_path, tmp_path / "threshold.json"):
        stale = Threshold.read(path)
        assert stale.notes == ("calibrated with other weights than the model has now: its rates "
                               "do not hold, calibrate again",)  # fmt: skip
        assert stale.weights == digest
    assert "calibrated with other weights" in caplog.text
    (tmp_path / WEIGHTS).unlink()
    assert Threshold.read(tmp_path) == found
    with pytest.raises(RunError, match=r"cannot read .*model\.safetensors"):
        digest_of(tmp_path / WEIGHTS)


def test_a_threshold_of_unknown_weights_can_be_read(tmp_path):
    vectors, identities, _ = case(5)
    found = calibrate(vectors, identities, far=0.1)
    found.write(tmp_path / "threshold.json")
    (tmp_path / WEIGHTS).write_bytes(b"any")
    plain = json.loads((tmp_path / "threshold.json").read_text())
    assert plain["weights"] is None
    del plain["weights"]
    (tmp_path / "threshold.json").write_text(json.dumps(plain))
    assert Threshold.read(tmp_path) == found


def test_too_few_impostor_pairs_are_refused_with_the_lowest_rate():
    vectors, identities, cameras = case(7)
    impostors = len(dense(vectors, identities, cameras)[1])
    with pytest.raises(ConfigError, match="needs 30,000 impostor pairs") as refused:
        calibrate(vectors, identities, cameras)
    assert f"{impostors:,} in different cameras" in str(refused.value)
    lowest = float(str(refused.value).split("ask for ")[1].split()[0])
    assert calibrate(vectors, identities, cameras, far=lowest).false_accept.value <= lowest
    with pytest.raises(ConfigError, match="ask for"):
        calibrate(vectors, identities, cameras, far=lowest * 0.9)


def test_what_cannot_be_calibrated_is_refused():
    vectors, identities, _ = case(8)
    for far in (0, 1, -0.1, float("nan")):
        with pytest.raises(ConfigError, match="expected a rate between 0 and 1"):
            calibrate(vectors, identities, far=far)
    with pytest.raises(DataError, match="0 genuine"):
        calibrate(vectors, np.arange(150), far=0.1)
    with pytest.raises(DataError, match="0 impostor"):
        calibrate(vectors, np.ones(150, int), far=0.1)
    with pytest.raises(DataError, match="in different cameras"):
        calibrate(vectors, identities, np.zeros(150, int), far=0.1)
    with pytest.raises(DataError, match="NaN"):
        calibrate(np.full_like(vectors, np.nan), identities, far=0.1)
    with pytest.raises(ValueError, match=r"shape \(150,\), expected \(N, D\)"):
        calibrate(vectors[:, 0], identities, far=0.1)
    with pytest.raises(ValueError, match=r"identities has shape \(149,\), expected \(150,\)"):
        calibrate(vectors, identities[1:], far=0.1)
    with pytest.raises(ValueError, match=r"identities has dtype <U.*expected signed integers"):
        calibrate(vectors, identities.astype(str), far=0.1)
    with pytest.raises(ValueError, match="cameras is a list, expected an array"):
        calibrate(vectors, identities, [0] * 150, far=0.1)
    with pytest.raises(ConfigError, match="no rate can be told"):
        calibrate(vectors[:6], np.array([1, 1, 2, 2, 3, 3]), far=0.1)
