from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from resight.clustering import TrueLabels
from resight.exporting import PRESETS, Facts, model_card
from resight.exporting.card import weights_origin
from resight.inference.described import Description
from resight.models import EncoderSpec
from resight.recipe import Recipe

EVALUATION: dict[str, Any] = {
    "root": "/home/someone/town",
    "protocol": "market1501",
    "queries": 1234,
    "figures": {"mAP": 74.04, "rank1": 83.96, "rank5": None},
    "intervals": {"mAP": [70.0, 78.25]},
    "level": 0.95,
    "notes": ["3 queries without a match in the gallery dropped"],
}
FACTS = Facts(
    name="town-run",
    data="town",
    recipe=Recipe(name="cgc", encoder=EncoderSpec(weights="/home/someone/start.pth", parts=2)),
    digest="aa11",
    finished=datetime(2026, 5, 4, tzinfo=UTC),
    epochs=Recipe().total_epochs,
    crops=2880,
    cameras=6,
    evaluation=EVALUATION,
    similarity=0.37344,
    far=0.001,
    threshold_of="identities",
)


def described(to: Any = "onnx", preset: str = "plain") -> Description:
    takes = PRESETS[preset].takes((256, 128))
    return Description(preset, to, takes, "embeddings", (256, 128), 1280, "bb22", "resight 9.9")


def text_of(facts: Facts = FACTS, to: Any = "onnx", preset: str = "plain") -> str:
    return model_card(facts, described(to, preset), file="model.onnx", difference=8.8e-7)


def header_of(card: str) -> dict[str, Any]:
    start, header, _ = card.split("---\n", 2)
    assert start == ""
    read: dict[str, Any] = yaml.safe_load(header)
    return read


def test_the_header_is_read_by_hugging_face() -> None:
    header = header_of(text_of())
    assert header["library_name"] == "resight"
    [model] = header["model-index"]
    [result] = model["results"]
    assert result["dataset"] == {"type": "town", "name": "town"}
    assert result["metrics"] == [
        {"type": "mAP", "value": 74.04},
        {"type": "rank1", "value": 83.96},
    ]
    assert "model-index" not in header_of(text_of(replace(FACTS, evaluation={})))


@pytest.mark.parametrize(
    "told",
    [
        "# town-run",
        "trained without labels",
        "Crops of `town`, used without labels. Crops in the last epoch: 2,880. Cameras: 6.",
        "| method | cgc |",
        "| backbone | efficientnet_lite0 |",
        "| start | a state dict, start.pth |",
        "Protocol `market1501`, 1,234 queries.",
        "| figure | value (%) | 95% interval over identities |",
        "| mAP | 74.0 | 70.0 to 78.2 |",
        "| rank1 | 84.0 |  |",
        "| rank5 | unknown |  |",
        "- 3 queries without a match in the gallery dropped",
        "from a similarity of 0.3734 on, calibrated on identities for 0.100% of false accepts",
        "needs a legal basis",
        "| made by | resight 9.9 |",
        "| last epoch ended | 2026-05-04 |",
        "| sha256 of the weights | `bb22` |",
        "| sha256 of the recipe | `aa11` |",
        'embedder = resight.load("model.onnx")',
        "differ by at most 8.8e-07",
    ],
)
def test_what_a_card_tells(told: str) -> None:
    assert told in text_of()


def test_no_path_of_this_machine_is_told() -> None:
    assert "/home" not in text_of()


def test_what_is_not_known_is_said() -> None:
    bare = replace(
        FACTS, crops=None, cameras=None, evaluation={}, similarity=None, far=None, threshold_of=""
    )
    card = text_of(bare)
    assert "Crops in the last epoch: unknown. Cameras: unknown." in card
    assert "Not evaluated: `resight evaluate`" in card
    assert "No threshold was calibrated for these weights: `resight calibrate`" in card


def test_figures_without_identities_are_no_percent() -> None:
    free = {"protocol": "label-free", "figures": {"silhouette": 0.3217}, "notes": []}
    card = text_of(replace(FACTS, evaluation=free))
    assert "| figure | value |" in card
    assert "| silhouette | 0.322 |" in card
    assert "model-index" not in header_of(card)


def test_what_people_decided_is_said() -> None:
    card = text_of(replace(FACTS, decided=1200))
    assert "trained without labels but for 1,200 pairs that people decided about" in card
    assert "people decided" not in text_of()


def test_training_that_has_not_ended_is_said() -> None:
    whole = FACTS.recipe.total_epochs
    assert f"| epochs | {whole} |" in text_of()
    assert "may be of an earlier epoch" not in text_of()
    card = text_of(replace(FACTS, epochs=3))
    assert f"| epochs | 3 of {whole}, training has not ended |" in card
    assert "Training has not ended: these figures may be of an earlier epoch." in card


def test_a_share_of_the_crops_in_each_epoch_is_said() -> None:
    recipe = replace(FACTS.recipe, sample_fraction=0.25)
    assert "Each epoch took 25% of them, drawn anew." in text_of(replace(FACTS, recipe=recipe))


def test_what_to_know_of_the_threshold_is_told() -> None:
    assert "- few pairs\n- of one camera" in text_of(
        replace(FACTS, threshold_notes=("few pairs", "of one camera"))
    )


def test_names_keep_tables_whole() -> None:
    recipe = replace(FACTS.recipe, name="a|b")
    assert "| method | a\\|b |" in text_of(replace(FACTS, recipe=recipe))


def test_training_with_labels_is_said() -> None:
    card = text_of(replace(FACTS, recipe=replace(FACTS.recipe, clusterer=TrueLabels())))
    assert "trained with the identities of its crops" in card


@pytest.mark.parametrize(
    ("to", "preset", "told"),
    [
        ("onnx", "plain", "(N, 3, any height, any width) uint8, RGB, from 0 to 255, resized and"),
        ("onnx", "plain", 'session.run(["embeddings"], {"images": images})'),
        ("torchscript", "plain", 'torch.jit.load("model.onnx")'),
        ("onnx", "boxmot", "(N, 3, height 256, width 128) float32, RGB, from 0 to 1, less the mea"),
        ("onnx", "boxmot", "--reid model.onnx --tracker botsort"),
        ("onnx", "ultralytics", "height 256, any width) float32, RGB, from 0 to 1, resized to"),
        ("onnx", "ultralytics", "with_reid: True\nmodel: model.onnx"),
    ],
)
def test_how_it_is_loaded_and_fed(to: str, preset: str, told: str) -> None:
    assert told in text_of(to=to, preset=preset)


def test_weights_alone_take_no_tensors() -> None:
    card = text_of(to="safetensors")
    assert "`images`" not in card
    assert "- Input: pictures of any size, which `embed` resizes and normalises" in card


def test_that_resizing_inside_differs_is_told() -> None:
    told = "Resizing inside is Pillow's but for a grey level"
    has = {preset: told in text_of(preset=preset) for preset in PRESETS}
    assert has == {"plain": True, "boxmot": False, "ultralytics": True}


@pytest.mark.parametrize(
    ("spec", "origin"),
    [
        (EncoderSpec(), "ImageNet, those of timm's tf_efficientnet_lite0"),
        (EncoderSpec("resnet18.a1_in1k"), "ImageNet, those of timm's resnet18.a1_in1k"),
        (EncoderSpec(weights="none"), "random"),
        (EncoderSpec(weights="/a/b/c.safetensors"), "a state dict, c.safetensors"),
    ],
)
def test_where_weights_come_from(spec: EncoderSpec, origin: str) -> None:
    assert weights_origin(Recipe(encoder=spec)) == origin
