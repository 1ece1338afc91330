"""How an export is loaded, and what it takes, in words for its card."""

from __future__ import annotations

from collections.abc import Iterator

from resight.inference.described import ANY, Description

_ANYWHERE = """\
```python
import resight

embedder = resight.load("{file}")
embeddings = embedder.embed(["one.jpg", "other.jpg"])  # (2, {dim}), rows of length 1
similarity = embeddings[0] @ embeddings[1]
```"""

_ONNX = """\
Without resight, in ONNX Runtime:

```python
import onnxruntime

session = onnxruntime.InferenceSession("{file}")
[embeddings] = session.run(["{output}"], {{"{input}": images}})
```"""

_SCRIPT = """\
Without resight, in PyTorch:

```python
import torch

embeddings = torch.jit.load("{file}").eval()(images)
```"""

_BOXMOT = """\
In BoxMOT, as the ReID model. The file keeps its name, from which BoxMOT tells kinds of models, and
its metadata stays beside it:

```bash
boxmot track --detector yolo26n --reid {file} --tracker botsort --source video.mp4
```"""

_ULTRALYTICS = """\
In Ultralytics, in the tracker's YAML (a copy of `botsort.yaml`):

```yaml
with_reid: True
model: {file}
```"""


def usage(described: Description, file: str) -> Iterator[str]:
    """Code that loads the export, for each of those who can."""
    names = {
        "file": file,
        "dim": described.dim,
        "output": described.output,
        "input": described.input.name,
    }
    yield _ANYWHERE.format(**names)
    if described.preset == "boxmot":
        yield _BOXMOT.format(**names)
    elif described.preset == "ultralytics":
        yield _ULTRALYTICS.format(**names)
    if described.to == "onnx":
        yield _ONNX.format(**names)
    elif described.to == "torchscript":
        yield _SCRIPT.format(**names)


def takes(described: Description, difference: float) -> Iterator[str]:
    """What goes in and comes out, and how well that was checked."""
    lines = _loaded(described) if described.to == "safetensors" else _called(described)
    yield "\n".join(
        [
            *lines,
            f"- The encoder works at {described.size[0]} x {described.size[1]} (height x width).",
            f"- Compared with PyTorch on batches of 1, 2 and 7 images, noise and photographs, "
            f"components differ by at most {difference:.1e}.",
        ]
    )


def _loaded(described: Description) -> list[str]:
    """Of weights alone."""
    return [
        "- Input: pictures of any size, which `embed` resizes and normalises as in training.",
        f"- Output: (N, {described.dim}) float32, rows of length 1.",
    ]


def _called(described: Description) -> list[str]:
    """Of a network."""
    given = described.input
    height = "any height" if given.height is ANY else f"height {given.height}"
    width = "any width" if given.width is ANY else f"width {given.width}"
    inside = "resized and normalised inside" if given.height is ANY else "normalised inside"
    if any(given.mean):
        inside = f"less the mean {given.mean}, divided by the deviation {given.std}"
    elif given.width is ANY and given.height is not ANY:
        inside = "resized to the encoder's width and normalised inside"
    lines = [
        f"- Input `{given.name}`: (N, 3, {height}, {width}) {given.dtype}, RGB, from 0 to "
        f"{given.white:g}, {inside}. N, at least 1, may differ from call to call.",
        f"- Output `{described.output}`: (N, {described.dim}) float32, rows of length 1.",
    ]
    if given.width is ANY:
        lines.append(
            "- Resizing inside is Pillow's but for a grey level here and there: embeddings of "
            "pictures of other sizes differ a little from those of `resight.load`. Do not mix the "
            "two."
        )
    return lines
