"""How many images, identities and cameras the published data sets have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Count:
    """Images and different identities of a split, without junk and distractors among the latter.

    images is None where the published protocol draws them at random.
    """

    images: int | None
    identities: int


@dataclass(frozen=True)
class Benchmark:
    """What a data set's authors publish about it.

    layouts: that read it. source: where the counts come from. named: the first folders of its
    paths that tell this variant from others with the same counts.
    """

    name: str
    layouts: tuple[str, ...]
    splits: Mapping[str, Count]
    cameras: int
    source: str
    named: tuple[str, ...] = ()


def _splits(train: Count, query: Count, gallery: Count) -> dict[str, Count]:
    return {"train": train, "query": query, "gallery": gallery}


_MARKET_SOURCE = "Zheng et al., ICCV 2015; of the gallery 3,819 images are junk, 2,798 distractors"
_MSMT17 = _splits(Count(32621, 1041), Count(11659, 3060), Count(82161, 3060))
_MSMT17_SOURCE = "Wei et al., CVPR 2018, Table 2"
_CUHK03_SOURCE = "CUHK03-NP, README of Zhong et al., CVPR 2017"
_CUHK03_CLASSIC = _splits(Count(None, 1367), Count(None, 100), Count(None, 100))
_CUHK03_CLASSIC_SOURCE = "Li et al., CVPR 2014; 1,467 identities in cuhk-03.mat"

PUBLISHED = (
    Benchmark(
        "Market-1501",
        ("market1501",),
        _splits(Count(12936, 751), Count(3368, 750), Count(19732, 750)),
        6,
        _MARKET_SOURCE,
    ),
    Benchmark(
        "Market-1501 (junk removed)",
        ("market1501",),
        _splits(Count(12936, 751), Count(3368, 750), Count(15913, 750)),
        6,
        _MARKET_SOURCE,
    ),
    Benchmark(
        "DukeMTMC-reID",
        ("dukemtmc", "market1501"),
        _splits(Count(16522, 702), Count(2228, 702), Count(17661, 1110)),
        8,
        "Zheng et al., ICCV 2017",
    ),
    Benchmark(
        "Occluded-Duke",
        ("dukemtmc", "market1501"),
        _splits(Count(15618, 702), Count(2210, 519), Count(17661, 1110)),
        8,
        "Miao et al., ICCV 2019",
    ),
    Benchmark("MSMT17 V1", ("msmt17",), _MSMT17, 15, _MSMT17_SOURCE, ("train", "test")),
    Benchmark(
        "MSMT17 V2 (masked faces)",
        ("msmt17",),
        _MSMT17,
        15,
        _MSMT17_SOURCE,
        ("mask_train_v2", "mask_test_v2"),
    ),
    Benchmark("MSMT17 (V1 or V2)", ("msmt17", "market1501"), _MSMT17, 15, _MSMT17_SOURCE),
    Benchmark(
        "CUHK03 labelled, new protocol",
        ("cuhk03-labelled", "market1501"),
        _splits(Count(7368, 767), Count(1400, 700), Count(5328, 700)),
        2,
        _CUHK03_SOURCE,
    ),
    Benchmark(
        "CUHK03 detected, new protocol",
        ("cuhk03-detected", "market1501"),
        _splits(Count(7365, 767), Count(1400, 700), Count(5332, 700)),
        2,
        _CUHK03_SOURCE,
    ),
    Benchmark(
        "CUHK03 labelled, classic protocol",
        ("cuhk03-classic-labelled",),
        _CUHK03_CLASSIC,
        2,
        _CUHK03_CLASSIC_SOURCE,
    ),
    Benchmark(
        "CUHK03 detected, classic protocol",
        ("cuhk03-classic-detected",),
        _CUHK03_CLASSIC,
        2,
        _CUHK03_CLASSIC_SOURCE,
    ),
    Benchmark(
        "VeRi-776",
        ("veri776",),
        _splits(Count(37778, 576), Count(1678, 200), Count(11579, 200)),
        20,
        "Liu et al., ECCV 2016",
    ),
    Benchmark(
        "PersonX",
        ("personx", "market1501"),
        _splits(Count(9840, 410), Count(5136, 856), Count(30816, 856)),
        6,
        "Sun and Zheng, CVPR 2019, in the split of Ge et al., NeurIPS 2020",
    ),
)
