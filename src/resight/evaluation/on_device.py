"""Ranking where the features are: the counts of `counting`, in tensors on any device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from resight.evaluation.counting import FIRST, MARKET, PENALTY, STEP
from resight.evaluation.lookup import Lookup, Table
from resight.evaluation.similarity import UNIT_TOLERANCE, refuse_rows
from resight.evaluation.truth import Truth

BLOCK_BYTES = 2**28
BYTES_OF_SCORE = 32
TILE = 4096


def table(query: Tensor, gallery: Tensor, truth: Truth) -> Table:
    """(Q, 4) float64 as of `summarise_rows`, by cosine similarity; NaN for queries without match.

    query (Q, D) and gallery (G, D), of any floating type, may lie on two devices; all is computed
    on the gallery's. Products are in full float32, whatever PyTorch's setting. A block of scores
    and what is made of them take about 256 MB, or one row where a row takes more.

    Raises DataError for NaN or infinite features.
    """
    found = np.full((len(truth.query_ids), 4), np.nan)
    lengths = {}
    for name, features in (("query", query), ("gallery", gallery)):
        lengths[name] = _lengths(features, name).to(gallery.device)
    lookup = Lookup.of(truth)
    height = max(1, BLOCK_BYTES // (BYTES_OF_SCORE * max(1, len(gallery) + gallery.shape[1])))
    with _full_precision():
        for start in range(0, len(truth.candidates), height):
            rows = truth.candidates[start : start + height]
            taken = torch.as_tensor(rows, device=query.device)
            unit = query[taken].to(gallery.device, torch.float32)  # (B, D)
            unit = unit / lengths["query"][taken.to(gallery.device), None]
            scores = _scores(unit, gallery).div_(lengths["gallery"])  # (B, G)
            right, wrong = _counts(scores, lookup, rows)
            found[rows] = _summaries(right, wrong).cpu().numpy()
    return found


@contextmanager
def _full_precision() -> Iterator[None]:
    """No TensorFloat-32 within."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _scores(unit: Tensor, gallery: Tensor) -> Tensor:
    """(B, G) products in tiles of one shape, so that equal gallery rows score equally."""
    n = len(gallery)
    scores = unit.new_empty((len(unit), n))
    for start in range(0, n, TILE):
        tile = unit.new_zeros((TILE, gallery.shape[1]))
        part = gallery[start : start + TILE]
        tile[: len(part)] = part
        scores[:, start : start + TILE] = (unit @ tile.T)[:, : len(part)]
    return scores


def _lengths(features: Tensor, name: str) -> Tensor:
    """(N,) what to divide each row by: 1 for unit rows and rows of zeros, else its length."""
    squares = torch.empty(len(features), device=features.device)
    for start in range(0, len(features), TILE):
        tile = features[start : start + TILE].float()
        squares[start : start + TILE] = torch.einsum("nd,nd->n", tile, tile)
    refuse_rows((~squares.isfinite()).nonzero()[:, 0].cpu().numpy(), len(features), name)
    leave = ((squares - 1).abs() <= 2 * UNIT_TOLERANCE) | (squares == 0)
    return torch.where(leave, 1.0, squares.sqrt())


def _counts(scores: Tensor, lookup: Lookup, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Right answers' scores (B, P), ascending, inf beyond a row's last; and (B, P) wrong ones.

    The latter are how many wrong answers score at least as high. Overwrites `scores`.
    """
    device = scores.device
    of_query = lookup.of_query[:, rows]
    most = int((of_query[1] - of_query[0]).max())
    starts, stops, cameras, own = torch.as_tensor(of_query, device=device)
    order = torch.as_tensor(lookup.order, device=device)
    places = starts[:, None] + torch.arange(most, device=device)  # (B, P)
    inside = places < stops[:, None]
    members = order[places.clamp(max=len(order) - 1)]
    seen = torch.as_tensor(lookup.gallery_cameras, device=device)[members]
    is_right = inside & (seen != cameras[:, None]) & (members != own[:, None])
    right = scores.gather(1, members).masked_fill(~is_right, torch.inf).sort(dim=1).values
    _take_out(scores, members, inside, own, torch.as_tensor(lookup.junk, device=device))
    places = torch.searchsorted(right, scores, right=True)  # (B, G) right scores <= the score
    above = torch.zeros((len(scores), right.shape[1] + 1), dtype=torch.int64, device=device)
    above.scatter_add_(
        1, places, torch.ones((), dtype=torch.int64, device=device).expand_as(places)
    )
    return right, above.flip(1).cumsum(1).flip(1)[:, 1:]


def _take_out(scores: Tensor, members: Tensor, inside: Tensor, own: Tensor, junk: Tensor) -> None:
    """Leave only wrong answers: -inf for the query's identity, its own crop, and junk."""
    rows = torch.arange(len(scores), device=scores.device)
    scores[rows[:, None].expand_as(members)[inside], members[inside]] = -torch.inf
    scores[rows[own >= 0], own[own >= 0]] = -torch.inf
    scores[:, junk] = -torch.inf


def _summaries(right: Tensor, wrong: Tensor) -> Tensor:
    """(B, 4) float64 step AP, trapezoid AP, inverse negative penalty and rank of the first."""
    real = right < torch.inf
    n, wrong = real.sum(1, keepdim=True).double(), wrong.double()  # (B, 1), (B, P)
    hits = n - torch.arange(right.shape[1], device=right.device)  # (B, P)
    level = n - torch.searchsorted(right, right)  # right answers scoring as high
    ranks = hits + wrong
    before = torch.where(ranks > 1, (hits - 1) / (ranks - 1), 1.0)
    out = torch.full((len(right), 4), torch.nan, dtype=torch.float64, device=right.device)
    out[:, STEP] = torch.where(real, level / (level + wrong), 0).sum(1) / n[:, 0]
    out[:, MARKET] = torch.where(real, (before + hits / ranks) / 2, 0).sum(1) / n[:, 0]
    out[:, PENALTY] = n[:, 0] / (n[:, 0] + wrong[:, 0])
    out[:, FIRST] = 1 + wrong.gather(1, (n - 1).clamp(min=0).long())[:, 0]
    out[n[:, 0] == 0] = torch.nan
    return out
