"""Memories: the vectors that queries are compared with, how they start and how they change."""

from resight.memory.cluster import ClusterMemory
from resight.memory.instance import InstanceMemory
from resight.memory.start import mean_of_members, random_member

__all__ = ["ClusterMemory", "InstanceMemory", "mean_of_members", "random_member"]
