"""The errors that a user can mend, each one clear sentence: what is wrong, where, what to do."""


class ResightError(Exception):
    """A mistake in the input or the surroundings, told so that the reader can mend it.

    The command line prints the message alone and exits with code 2.
    """


class DataError(ResightError):
    """Crops, tables or image files that cannot be used."""


class ConfigError(ResightError):
    """Settings that contradict each other, do not exist, or lack what they need."""


class RunError(ResightError):
    """A run folder that is missing, in use, incomplete or of another version."""


class CostError(ResightError):
    """A job that cannot be done within the limits that the user gave."""


class NothingToLearnError(ResightError):
    """Clustering found no structure that training could use, at any eps."""


class StoreError(ResightError):
    """A gallery's store that cannot be reached, read or written."""


class GalleryError(ResightError):
    """A gallery that is missing, incomplete, of another version, or of another encoder."""


class MissingError(GalleryError):
    """A gallery that is not there, or a crop or cluster that it does not have."""


class BusyError(GalleryError, StoreError):
    """A gallery or its store that others are changing for longer than was waited: the same may
    work later.
    """


class Contradiction(ResightError):
    """Decisions on pairs that cannot all be right."""
