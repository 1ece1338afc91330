"""Small files that would take long to decode."""

import io
import struct

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from service_cases import picture, upload

from resight.inference import to_pixels


def with_scans(further: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = picture(kind="JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + further * last + data[-2:]


def run_lengths(kind: int) -> bytes:
    """A BMP of 8 x 1 pixels in one run."""
    table, runs = bytes(4 * 16), b"\x08\x00\x00\x01"
    start = 54 + len(table)
    head = b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start)
    bits = {1: 8, 2: 4}[kind]
    shape = struct.pack("<IiiHHIIiiII", 40, 8, 1, 1, bits, kind, len(runs), 0, 0, 16, 0)
    return head + shape + table + runs


def test_a_progressive_picture_is_taken(reader: TestClient) -> None:
    for further in (0, 30):
        answer = reader.post("/api/search", files=upload(with_scans(further)))
        assert answer.status_code == 200


def test_what_is_no_scan_does_not_count(reader: TestClient) -> None:
    heads = 100 * b"\xff\xda\x00\x08"
    data = picture(kind="JPEG")
    comment = b"\xff\xfe" + (2 + len(heads)).to_bytes(2, "big") + heads
    for given in (data[:2] + comment + data[2:], data + heads):
        assert reader.post("/api/search", files=upload(given)).status_code == 200


@pytest.mark.parametrize("path", ["/api/search", "/api/crops"])
def test_scans_are_bounded_as_each_costs_a_pass_over_all_pixels(
    reader: TestClient, path: str
) -> None:
    data = with_scans(60)
    assert to_pixels([data], (40, 20)).shape == (1, 40, 20, 3)
    refused = reader.post(path, files=upload(data))
    assert refused.status_code == 413
    assert refused.json()["error"] == "a picture has 70 scans, more than 50: save it anew"


@pytest.mark.parametrize("kind", [1, 2])
def test_run_lengths_are_refused_as_they_are_decoded_byte_by_byte(
    reader: TestClient, kind: int
) -> None:
    data = run_lengths(kind)
    assert Image.open(io.BytesIO(data)).convert("RGB").size == (8, 1)
    refused = reader.post("/api/search", files=upload(data))
    assert refused.status_code == 415
    assert "run-length encoded BMP" in refused.json()["error"]
