"""Global and part features as one feature, for ranking by all views together (LP, Table VII)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from resight.errors import ConfigError
from resight.graph import view_weights
from resight.records import GLOBAL, Features


def fusion_weights(views: Iterable[str], alpha: float) -> dict[str, float]:
    """How much each view counts: 1 - n alpha for the global one, alpha for each of n parts.

    Raises ConfigError without parts, and unless 0 <= alpha <= 1 / n.
    """
    views = tuple(views)
    if len(views) < 2:
        raise ConfigError(
            f"fuse={alpha:g} needs a model with parts, and this one embeds the whole image alone: "
            "leave fuse out, or train with encoder.parts=2 or more"
        )
    return view_weights(views, alpha, setting="fuse")


def fused(features: Features, alpha: float) -> Features:
    """A single view whose distances are D = (1 - n alpha) D_global + alpha (D_1 + … + D_n).

    D are cosine distances (half the squared Euclidean ones) of the features; the paper names
    Jaccard distances, yet its row alpha = 0 is its main result, which is not re-ranked. With w the
    weights of the views, the rows are sqrt(w_v) x_v side by side: their inner product is the
    weighted mean of the views' cosines. Views of weight 0 take no part, so that alpha = 0 leaves
    the global view as it is.

    Returns rows of length 1, (N, sum of the widths of those views). Raises what `fusion_weights`
    raises.
    """
    weights = fusion_weights(features.views, alpha)
    kept = {view: weight for view, weight in weights.items() if weight > 0}
    if [*kept] == [GLOBAL]:
        return features.only(GLOBAL)
    rows = [features.views[view] * np.float32(np.sqrt(weight)) for view, weight in kept.items()]
    return Features({GLOBAL: np.hstack(rows)}, features.crops, features.colour)
