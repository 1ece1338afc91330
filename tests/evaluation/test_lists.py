import json

import numpy as np
import pytest
from evaluation_cases import features_of, make_crops, random_crops
from evaluation_reference import answers

from resight.errors import DataError
from resight.evaluation import RankedList, evaluate, first_wrong, ranked_lists


@pytest.fixture
def case():
    rng = np.random.default_rng(5)
    crops = random_crops(rng, 80, n_ids=12)
    features = features_of(crops, rng)
    return features, crops, evaluate(features, crops)


def test_hits_are_the_first_answers_that_count(case):
    features, crops, found = case
    truth = found.trial.truth(crops)
    scores = features.vectors[found.trial.queries] @ features.vectors.T
    lists = ranked_lists(features, crops, found, length=7)
    assert [one.kind for one in lists] == ["best"] * 4 + ["typical"] * 4 + ["worst"] * 4
    for one in lists:
        query = int(np.flatnonzero(found.trial.queries == one.row)[0])
        expected = answers(truth, query, scores)[:7]
        counted = [hit for hit in one.hits if not hit.dropped]
        assert [(hit.similarity, hit.right) for hit in counted] == expected
        assert one.ap == found.ranking.ap[query]
        assert one.path == crops.paths[one.row]
        assert all(hit.path == crops.paths[hit.row] for hit in one.hits)
        assert not truth.removed(query)[[hit.row for hit in counted]].any()


def test_dropped_answers_stand_where_they_would_count(case):
    features, crops, found = case
    truth = found.trial.truth(crops)
    scores = features.vectors[found.trial.queries] @ features.vectors.T
    shown = 0
    for one in ranked_lists(features, crops, found, length=7):
        query = int(np.flatnonzero(found.trial.queries == one.row)[0])
        similarities = [hit.similarity for hit in one.hits]
        assert similarities == sorted(similarities, reverse=True)
        dropped = {hit.row for hit in one.hits if hit.dropped}
        out = truth.right(query) & truth.removed(query)
        out[one.row] = False
        near = np.flatnonzero(out & (scores[query] >= min(similarities)))
        best = near[np.argsort(-scores[query][near], kind="stable")][:4]
        assert dropped == set(best.tolist())
        assert not any(hit.right for hit in one.hits if hit.dropped)
        shown += len(dropped)
    assert shown


def test_first_wrong_is_what_failing_queries_found(case):
    features, crops, found = case
    truth = found.trial.truth(crops)
    scores = features.vectors[found.trial.queries] @ features.vectors.T
    wrong = first_wrong(features, crops, found)
    failed = found.ranking.first > 1
    assert (wrong[~failed] == -1).all()
    assert failed.any()
    for query in np.flatnonzero(failed):
        takes_part = ~(truth.right(query) | truth.removed(query))
        assert wrong[query] == np.where(takes_part, scores[query], -np.inf).argmax()


def test_queries_are_the_extremes_of_different_individuals(case):
    features, crops, found = case
    ap = found.ranking.ap
    lists = ranked_lists(features, crops, found, best=3, typical=3, worst=3)
    by_kind = {kind: [o for o in lists if o.kind == kind] for kind in ("best", "typical", "worst")}
    assert len({one.row for one in lists}) == 9
    assert by_kind["best"][0].ap == np.nanmax(ap)
    assert by_kind["worst"][0].ap == np.nanmin(ap)
    for ones in by_kind.values():
        assert len({crops.identities[one.row] for one in ones}) == 3
    assert max(o.ap for o in by_kind["worst"]) <= np.nanmedian(ap) <= by_kind["best"][-1].ap


def test_few_queries_give_few_lists():
    crops = make_crops([1, 1, 0, -1], [0, 1, 0, 1])
    features = features_of(crops, np.random.default_rng(0))
    found = evaluate(features, crops)
    lists = ranked_lists(features, crops, found, best=1, typical=5, worst=1, length=9)
    assert [(one.kind, one.row) for one in lists] == [("best", 0), ("worst", 1)]
    assert [len(one.hits) for one in lists] == [2, 2]
    assert ranked_lists(features, crops, found, best=0, typical=0, worst=0) == ()


def test_lists_survive_json_and_repeat(case):
    lists = ranked_lists(*case)
    text = json.dumps([one.to_dict() for one in lists])
    assert tuple(RankedList.from_dict(values) for values in json.loads(text)) == lists
    assert ranked_lists(*case) == lists


def test_what_is_no_ranked_list_is_refused(case):
    features, crops, _ = case
    values = ranked_lists(*case)[0].to_dict()
    for broken in ({}, {**values, "colour": 1}, {**values, "kind": "odd"}, {**values, "hits": [3]}):
        with pytest.raises(DataError):
            RankedList.from_dict(broken)
    with pytest.raises(DataError, match="camera-pairs"):
        ranked_lists(features, crops, evaluate(features, crops, protocol="camera-pairs"))
    with pytest.raises(ValueError, match="min 0"):
        ranked_lists(*case, best=-1)
