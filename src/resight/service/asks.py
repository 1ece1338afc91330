"""What may be asked of the service, as schemas: strict, bounded, and nothing else."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, UploadFile
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from resight.gallery.records import Filter

LARGEST = 2**63 - 1
MOST_PICTURES = 8
MOST_ANSWERS = 1000
MOST_PAIRS = 1000
MOST_CAMERAS = 200
MOST_FIELDS = 256
LONGEST_FIELD = 4096
LONGEST_NAME = 1024


def printable(name: str) -> str:
    """Raise ValueError for control characters and the like, and for more than a store keeps."""
    if not name.isprintable():
        raise ValueError("has characters that cannot be printed")
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"has more than {LONGEST_NAME:,} bytes")
    return name


def relative(path: str) -> str:
    """Raise ValueError for a path that leads out of its source."""
    parts = path.split("/")
    if "\\" in path or not all(parts) or not {".", ".."}.isdisjoint(parts):
        raise ValueError("is no relative path with forward slashes, such as cam1/0001.jpg")
    return path


Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME), AfterValidator(printable)]
RelativePath = Annotated[Name, Field(min_length=1), AfterValidator(relative)]
Id = Annotated[int, Field(ge=0, le=LARGEST)]
AfterId = Annotated[int, Field(ge=-1, le=LARGEST)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
Cameras = Annotated[list[Name], Field(max_length=MOST_CAMERAS)]
Pair = Annotated[list[Id], Field(min_length=2, max_length=2)]
Pairs = Annotated[list[Pair], Field(max_length=MOST_PAIRS)]
CropId = Annotated[int, Path(ge=0, le=LARGEST)]
Label = Annotated[int, Path(ge=0, le=LARGEST)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Loose(BaseModel):
    """Fields of forms and addresses, which are text."""

    model_config = ConfigDict(extra="forbid")


class PictureSearch(_Loose):
    """Pictures of one individual, and which crops can be answers."""

    image: Annotated[list[UploadFile], Field(min_length=1, max_length=MOST_PICTURES)]
    k: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] = 10
    camera: Cameras = []
    not_camera: Cameras = []
    since: Seconds | None = None
    until: Seconds | None = None
    accepted_only: bool = False
    rerank: bool = False

    def where(self) -> Filter:
        """Which crops can be answers."""
        return where(self.camera, self.not_camera, self.since, self.until)


class StoredSearch(_Strict):
    """Stored crops of one individual, and which crops can be answers."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_PICTURES)]
    k: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] = 10
    cameras: Cameras = []
    not_cameras: Cameras = []
    same_camera: bool = True
    since: Seconds | None = None
    until: Seconds | None = None
    accepted_only: bool = False
    rerank: bool = False

    def where(self) -> Filter:
        """Which crops can be answers."""
        return where(self.cameras, self.not_cameras, self.since, self.until)


class NewCrop(_Loose):
    """A crop to store. path: its name within source, by default its content's digest."""

    image: UploadFile
    source: Annotated[Name, Field(min_length=1)] = "upload"
    path: RelativePath | None = None
    camera: Name = ""
    time: Seconds | None = None
    track: Annotated[int, Field(ge=0, le=LARGEST)] | None = None


class CropListing(_Loose):
    """Which crops to list."""

    after: AfterId = -1
    limit: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] = 100
    camera: Cameras = []
    since: Seconds | None = None
    until: Seconds | None = None

    def where(self) -> Filter:
        """Which crops count."""
        return where(self.camera, [], self.since, self.until)


class Page(_Loose):
    """Which part of a list."""

    after: AfterId = -1
    limit: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] = 200


class DecisionListing(_Loose):
    """Which decisions to list, newest first; after: how many of the oldest, all by default."""

    after: Annotated[int, Field(ge=0, le=LARGEST)] | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] = 200


class ClusterListing(_Loose):
    """Which clusters to list, the largest first or those of most cameras."""

    after: Annotated[str, Field(max_length=80, pattern=r"^(-?\d{1,19}(_-?\d{1,19}){1,2})?$")] = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    order: Literal["size", "cameras"] = "size"


class NewDecisions(_Strict):
    """Pairs of stored crops; forget: of which nothing is said any more."""

    same: Pairs = []
    different: Pairs = []
    forget: Pairs = []


class Merge(_Strict):
    """Clusters that show one individual."""

    labels: Annotated[list[Id], Field(min_length=2, max_length=16)]


class Split(_Strict):
    """Crops of a cluster that show another individual than its rest."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_PAIRS)]


class Login(_Strict):
    """The service's token."""

    token: Annotated[str, Field(max_length=LONGEST_NAME)]


def where(
    cameras: list[str], not_cameras: list[str], since: float | None, until: float | None
) -> Filter:
    """The filter that these ask for."""
    return Filter(
        cameras=frozenset(cameras) if cameras else None,
        without_cameras=frozenset(not_cameras),
        since=since,
        until=until,
    )
