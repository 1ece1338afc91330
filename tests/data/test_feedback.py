"""Decisions on pairs: what is written is kept, whatever ends the process."""

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.data.feedback import Crop, Decision, append, erase, latest, pairs, read, write
from resight.errors import DataError, ResightError

A, B, C = (Crop("/town", f"{name}.png") for name in "abc")


def same(one: Crop, other: Crop, by: str = "anna") -> Decision:
    return Decision(one, other, True, 5.5, by)


def different(one: Crop, other: Crop) -> Decision:
    return Decision(one, other, False, 6.0, "bert")


def line(**changed: object) -> bytes:
    plain = {"a": ["/town", "a.png"], "b": ["/town", "b.png"], "same": True}
    return json.dumps(plain | changed).encode() + b"\n"


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    file = tmp_path / "new" / "feedback.jsonl"
    append(file, [same(A, B), different(C, B)])
    append(file, [])
    append(file, [same(Crop("", "é \n\udc80#7"), A, by="zoë")])
    found = read(file)
    assert found[:2] == (same(A, B), different(B, C))
    assert found[2].pair == (Crop("", "é \n\udc80#7"), A)
    assert found[2].by == "zoë"
    assert len(file.read_bytes().splitlines()) == 3


def test_the_last_word_on_a_pair_counts_in_either_order(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    append(file, [same(A, B), same(B, C), different(B, A), Decision(C, B, None)])
    assert read(file) == (different(A, B),)
    append(file, [same(C, B), same(A, C)])
    assert read(file) == (different(A, B), same(B, C), same(A, C))


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.sampled_from((0, 1, 2)))
    )
)
def test_latest_is_a_loop_over_what_was_said(said: list[tuple[str, str, int]]) -> None:
    told = [
        Decision(Crop("", a), Crop("", b), (False, True, None)[word])
        for a, b, word in said
        if a != b
    ]
    expected: dict[frozenset[Crop], bool | None] = {}
    for decision in told:
        expected[frozenset((decision.a, decision.b))] = decision.same
    found = {frozenset(d.pair): d.same for d in latest(told)}
    assert found == {pair: word for pair, word in expected.items() if word is not None}
    crops, must, cannot = pairs(told)
    numbered = {frozenset(crops[i] for i in row): True for row in must}
    numbered |= {frozenset(crops[i] for i in row): False for row in cannot}
    assert numbered == found
    assert list(crops) == sorted({crop for pair in found for crop in pair})


def test_pairs_are_numbered_and_named() -> None:
    other = Crop("/lake", "a.png")
    found = pairs([same(B, A), different(A, other)])
    assert found.crops == (other, A, B)
    assert found.must.tolist() == [[1, 2]]
    assert found.cannot.tolist() == [[0, 1]]
    assert found.names == ["/lake: a.png", "/town: a.png", "/town: b.png"]
    assert pairs([same(A, B)]).names == ["a.png", "b.png"]
    assert pairs([]).must.shape == (0, 2)


def test_a_gallery_is_read_by_its_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no feedback\.jsonl: give a gallery"):
        read(tmp_path)
    (tmp_path / "gallery.json").write_text("{}")
    assert read(tmp_path) == ()
    append(tmp_path / "feedback.jsonl", [same(A, B)])
    assert read(str(tmp_path)) == (same(A, B),)
    with pytest.raises(DataError, match=r"cannot read .*none\.jsonl: No such file"):
        read(tmp_path / "none.jsonl")


def test_files_by_hand_are_read(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_bytes(line(a=["", "x/1.png"]) + b"\r\n  \n" + line(same=False).rstrip())
    one, other = read(file)
    assert one == Decision(Crop("", "x/1.png"), B, True)
    assert other == Decision(A, B, False, 0.0, "")
    append(file, [same(A, C)])
    assert len(read(file)) == 3, "a last line without an end is whole"


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        (b'{"a": ["/town", "a.p\n', "not valid JSON"),
        (b"\xff\xfe\x00\n", "not valid JSON"),
        (b"\x00\x00\x00\n", "not valid JSON"),
        (b"[" * 100_000 + b"\n", "not valid JSON"),
        (b"[1, 2]\n", "expected {"),
        (line(same="yes"), "same should be true, false or null"),
        (b'{"a": ["", "a"], "b": ["", "b"]}\n', "same should be"),
        (line(time="now"), "time should be a number"),
        (line(time=float("nan")), "time should be a number"),
        (line(time=10**400), "time should be a number"),
        (line(time=True), "time should be a number"),
        (line(by=3), "by should be a text"),
        (line(a="a.png"), "a should be a source and a path"),
        (line(b=["/town", "b.png", "c"]), "b should be a source and a path"),
        (line(b=["/town", 7]), "b should be a source and a path"),
        (line(b=["/town", ""]), "a crop has no path"),
        (line(b=["/town", "a.png"]), r"'a\.png' is paired with itself"),
    ],
)
def test_damaged_lines_are_named(damaged: bytes, told: str, tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_bytes(line() + damaged + line())
    with pytest.raises(DataError, match=rf"f\.jsonl, line 2, is no decision: .*{told}") as raised:
        read(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("length", range(1, len(line()) - 1))
def test_a_torn_last_line_is_left_out_and_removed_by_the_next(
    length: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "f.jsonl"
    append(file, [same(A, C)])
    file.write_bytes(file.read_bytes() + line()[:length])
    assert read(file) == (same(A, C),)
    assert "not written to its end" in caplog.text
    append(file, [same(B, C)])
    caplog.clear()
    assert read(file) == (same(A, C), same(B, C))
    assert not caplog.records


def test_a_failed_write_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "f.jsonl"
    append(file, [same(A, B)])
    before = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResightError, match=r"cannot write .*f\.jsonl: No space left"):
        append(file, [different(A, C)])
    assert file.read_bytes() == before


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResightError, match="cannot write"):
        append(tmp_path / "file" / "f.jsonl", [same(A, B)])


def test_erased_crops_leave_no_trace(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    assert erase(file, [A]) == 0
    append(file, [same(A, B), different(A, C), same(B, C), Decision(A, B, None), same(A, B)])
    assert erase(file, [A]) == 2
    assert read(file) == (same(B, C),)
    assert b"a.png" not in file.read_bytes()


def test_write_keeps_what_counts(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    append(file, [same(B, C)])
    write(file, [same(A, B), different(A, B)])
    assert read(file) == (different(A, B),)
    assert len(file.read_bytes().splitlines()) == 1


def test_what_was_erased_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut after a rename brings the old file back unless the folder is on the disk."""
    file = tmp_path / "f.jsonl"
    append(file, [same(A, B)])
    synced: list[bool] = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    erase(file, [A])
    assert synced == [False, True]


def test_a_crop_is_no_pair() -> None:
    with pytest.raises(ValueError, match="paired with itself"):
        Decision(A, A, True)


WRITER = """
import sys
from pathlib import Path
from resight.data.feedback import Crop, Decision, append

file, who = Path(sys.argv[1]), sys.argv[2]
others = [Crop("/town", f"{name}.png") for name in "abc"]
for number in range(10**6):
    append(file, [Decision(Crop(who, str(number)), other, True) for other in others])
    print(number, flush=True)
"""


def test_kill_9_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    """Two processes append until they are killed; what they said was kept is there."""
    file = tmp_path / "f.jsonl"
    writers = {
        who: subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file), who], stdout=subprocess.PIPE, text=True
        )
        for who in ("x", "y")
    }
    kept = {}
    for who, writer in writers.items():
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(0.02)
        writer.kill()
        kept[who] = [first, *writer.stdout.read().splitlines()]
        writer.wait()
    append(file, [same(A, B)])
    found = {decision.pair for decision in read(file)}
    assert (A, B) in found
    for who, numbers in kept.items():
        for number in numbers:
            assert {(other, Crop(who, number.strip())) for other in (A, B, C)} <= found
