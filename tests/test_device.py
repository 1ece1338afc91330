"""Memory that the process frees stays its own, so that large tensors cost no page faults."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from resight.device import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(16):
    before = faults()
    torch.ones(16_000_000)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_freed_blocks_are_used_again_without_page_faults() -> None:
    def faults(mode: str) -> int:
        call = [sys.executable, "-c", FAULTS, mode]
        return int(subprocess.run(call, capture_output=True, text=True, check=True).stdout)

    assert faults("keep") < 100 < faults("leave")
