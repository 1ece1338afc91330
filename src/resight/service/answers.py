"""What the service answers, as schemas."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from resight.gallery.settings import Policy

Time = float | None


class Error(BaseModel):
    """Why there is no answer, in one sentence."""

    error: str


class Crop(BaseModel):
    """A stored crop. time: seconds. label: its cluster after decisions. thumbnail: a URL here."""

    id: int
    source: str
    path: str
    camera: str = Field(description='"" when unknown')
    time: Time
    track: int | None
    label: int | None
    thumbnail: str | None


class Hit(Crop):
    """A crop as an answer; accepted: whether its cosine reaches the threshold, null without one."""

    similarity: float
    accepted: bool | None


class Found(BaseModel):
    """Hits, best first; unknown: whether no crop is accepted, null without a threshold."""

    hits: list[Hit]
    unknown: bool | None
    exact: bool
    reranked: bool
    milliseconds: float


class Crops(BaseModel):
    """Some crops by ascending id; next: what to give as `after` for more, null at the end."""

    crops: list[Crop]
    next: int | None


class Sighting(Hit):
    """A crop of the same individual; similarity: to the crop that was asked for."""

    why: Literal["query", "confirmed", "cluster", "found"]


class Sightings(BaseModel):
    """All sightings of an individual, by time; label: the cluster of the crop asked for."""

    label: int | None
    crops: list[Sighting]


class Cluster(BaseModel):
    """A cluster after decisions. cover: ids of crops that show it, of several cameras."""

    label: int
    size: int
    cameras: dict[str, int]
    cover: list[int]
    first: Time
    last: Time


class Clusters(BaseModel):
    """Some clusters; next: what to give as `after` for more, null at the end."""

    clusters: list[Cluster]
    next: str | None


class Camera(BaseModel):
    """A camera and how many crops it has."""

    name: str
    rows: int


class Threshold(BaseModel):
    """From which cosine on two crops are taken for one individual; far: how often that errs.

    notes: what to know before trusting it.
    """

    similarity: float
    far: float
    notes: list[str]


class Index(BaseModel):
    """How the store searches; recall: recall@10 of an approximate index, null while exact."""

    kind: str
    recall: float | None


class Overview(BaseModel):
    """What a gallery holds and allows."""

    name: str
    rows: int
    cameras: list[Camera]
    times: tuple[float, float] | None
    threshold: Threshold | None
    thumbnails: Policy
    clusters: int
    index: Index
    read_only: bool


class Decision(BaseModel):
    """What somebody said of two crops, by id; null for a crop that is not in the gallery."""

    a: int | None
    b: int | None
    same: bool
    time: float
    by: str


class Decisions(BaseModel):
    """Decisions that count, newest first; next: how many older ones there are, to be given as
    `after` for more, null at the end."""

    decisions: list[Decision]
    next: int | None


class Kept(BaseModel):
    """How many decisions were kept."""

    kept: int


class Deleted(BaseModel):
    """How many crops were deleted."""

    deleted: int


class Session(BaseModel):
    """Whose token it was, and for how many seconds the cookie is good."""

    name: str
    seconds: int


class Health(BaseModel):
    """The store answers."""

    status: Literal["ok"] = "ok"
