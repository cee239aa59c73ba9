"""The files as others see them: the page's own reader, tifffile, Pillow, OpenCV; and broken files."""

from __future__ import annotations

import io
import os
import re
import runpy
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from typing import TYPE_CHECKING, Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image

from documents import PAGES, blocks
from espressoscope.recording import checksum
from espressoscope.recording.contents import ENTRY, read_contents
from espressoscope.recording.crc32c import crc32c
from espressoscope.recording.layout import SLOTS, Shape
from espressoscope.recording.log_file import LogFile
from espressoscope.recording.reader import open_run
from espressoscope.recording.repair import repair_run
from espressoscope.recording.segment import Entry
from espressoscope.recording.writer import RunWriter
from recording_support import SOFTWARE, Source, decoded, facts, jpeg, pages_of

if TYPE_CHECKING:
    from pathlib import Path

    from espressoscope.model import Frame

SHAPES: dict[str, dict[str, Any]] = {
    "422": {"subsampling": "422"},
    "420": {"subsampling": "420"},
    "444": {"subsampling": "444"},
    "gray": {"gray": True},
}


def record(folder: Path, pictures: list[bytes]) -> list[Frame]:
    """Record these pictures, with one broken frame among them."""
    writer = RunWriter(folder, SOFTWARE)
    track = writer.add("A1")
    writer.start()
    source = Source()
    for number, picture in enumerate(pictures):
        source.feed(track, 1, data=picture)
        if number == 2:
            source.feed(track, 1, data=picture[:200], status="truncated")
    writer.close()
    assert writer.trouble is None
    return source.frames


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Frame]]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, record(folder, [jpeg(seed=seed % 5) for seed in range(12)])


def test_the_reader_of_the_page(run: tuple[Path, list[Frame]]) -> None:
    block = next(each for each in blocks("python") if each.page.name == "recording-format.md")
    assert len(block.text.splitlines()) <= 30
    names: dict[str, Any] = {}
    exec(block.text, names)
    folder, sent = run
    found = list(names["frames"](folder / "A1" / "00000.ome.tif"))
    assert found == [(each.sequence, each.received_ns, each.status, each.jpeg) for each in sent]


def test_checksums_are_those_of_zlib_with_isal_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [bytes(range(256)) * 80, b"", b"a"]
    assert [checksum.crc32(text) for text in texts] == [zlib.crc32(text) for text in texts]
    assert checksum.crc32(b"b", checksum.crc32(b"a")) == zlib.crc32(b"ab")
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    assert runpy.run_path(checksum.__file__)["crc32"] is zlib.crc32


def test_lines_of_many_frames_are_those_of_single_ones(tmp_path: Path) -> None:
    source = Source(fps=1.7)
    frames = [source.frame(lost=number % 3 == 2) for number in range(40)]
    entries = [
        Entry(frame, None if number % 5 == 4 else Shape(64, 48, 3, 2, 1), number % 2)
        for number, frame in enumerate(frames)
    ]
    texts = []
    for together in (True, False):
        folder = tmp_path / str(together)
        folder.mkdir()
        log = LogFile(folder)
        page = 7
        if together:
            log.frames(entries, 3, page)
        for frame, shape, lost in () if together else entries:
            log.frame(frame, lost, 3, None if shape is None else page)
            page += shape is not None
        log.flush()
        log.close()
        texts.append((folder / "frames.csv").read_text())
    assert texts[0] == texts[1]
    assert texts[0].count("\n") == 41


def test_the_table_is_as_the_page_tells() -> None:
    page = next(each for each in PAGES if each.name == "recording-format.md")
    text = page.read_text(encoding="utf-8").partition("The table (kind 4) has")[2]
    assert text.startswith(f" {ENTRY.itemsize} bytes")
    numbers = re.findall(r"^\| ([\d, ]+) \|", text.partition("## ")[0], re.MULTILINE)
    offsets = {int(number) for line in numbers for number in line.split(", ")}
    there = {offset for _, offset in (ENTRY.fields or {}).values()}
    assert offsets == there - {49, 50, 51}  # four bytes in one row


@pytest.mark.parametrize("kind", SHAPES)
def test_foreign_readers_show_the_right_colours(kind: str, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    pictures = [jpeg(seed=seed, **SHAPES[kind]) for seed in range(5)]
    record(tmp_path / "run", pictures)
    path = tmp_path / "run" / "A1" / "00000.ome.tif"
    assert pages_of(path) == pictures
    right, images = cv2.imreadmulti(str(path), flags=cv2.IMREAD_COLOR)
    assert right
    for number, picture in enumerate(pictures):
        wanted = decoded(picture).astype(int)
        assert np.abs(images[number][..., ::-1].astype(int) - wanted).max() <= 6  # other rounding of colours
        with Image.open(path) as image:
            image.seek(number)
            assert np.abs(np.asarray(image.convert("RGB")).astype(int) - wanted).max() <= 6
            assert image.n_frames == 5  # type: ignore[attr-defined]


def test_the_ome_xml_has_the_times(run: tuple[Path, list[Frame]]) -> None:
    import tifffile

    folder, sent = run
    with tifffile.TiffFile(folder / "A1" / "00000.ome.tif") as tiff:
        assert tiff.is_ome
        assert tiff.series[0].shape == (12, 48, 64, 3)
        assert tiff.series[0].axes == "TYXS"
        root = ElementTree.fromstring(tiff.ome_metadata)
    times = [frame.received_ns for frame in sent if frame.status == "ok"]
    found = [float(plane.attrib["DeltaT"]) for plane in root.iter() if plane.tag.endswith("}Plane")]
    assert found == [pytest.approx((each - times[0]) / 1e9, abs=1e-6) for each in times]


def test_libtiff_has_nothing_to_complain_of(run: tuple[Path, list[Frame]]) -> None:
    program = shutil.which("tiffinfo")
    if program is None:
        pytest.skip("tiffinfo is not installed (Debian: libtiff-tools)")
    path = run[0] / "A1" / "00000.ome.tif"
    done = subprocess.run([program, path], capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
    assert done.stdout.count("JPEG") == 12


def test_the_end_is_a_zarr_shard_index(run: tuple[Path, list[Frame]]) -> None:
    folder, sent = run
    data = (folder / "A1" / "00000.ome.tif").read_bytes()
    index = data[-16 * SLOTS - 4 :]
    assert crc32c(b"123456789") == 0xE3069283  # the check value of the algorithm
    assert crc32c(b"") == 0
    assert int.from_bytes(index[-4:], "little") == crc32c(index[:-4])
    slots = np.frombuffer(index[:-4], "<u8").reshape(-1, 2)
    whole = [frame.jpeg for frame in sent if frame.status == "ok"]
    assert [data[offset : offset + size] for offset, size in slots[:12].tolist()] == whole
    assert (slots[12:] == 2**64 - 1).all()


@pytest.mark.parametrize("lost", [1, 5000, 161_000])
def test_a_file_copied_in_part_is_read_and_repaired(
    run: tuple[Path, list[Frame]], tmp_path: Path, lost: int
) -> None:
    folder, sent = run
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / "A1" / "00000.ome.tif"
    os.truncate(path, path.stat().st_size - lost)
    (tmp_path / "run" / "A1" / "frames.csv").write_bytes(b"sequence,rec")
    assert [facts(frame) for frame in open_run(tmp_path / "run")["A1"].records] == [facts(f) for f in sent]
    done = repair_run(tmp_path / "run", SOFTWARE)
    assert [(each.segments, each.damaged, each.lines) for each in done] == [(1, 0, len(sent))]
    recording = open_run(tmp_path / "run")["A1"]
    assert recording.segments[0].contents.closed
    assert [facts(frame) for frame in recording.records] == [facts(frame) for frame in sent]
    assert pages_of(path) == [frame.jpeg for frame in recording]


@hypothesis.given(
    cut=st.integers(0, 200_000),
    flips=st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 255)), max_size=20),
    closed=st.booleans(),
)
def test_broken_files_break_nobody(
    run: tuple[Path, list[Frame]],
    tmp_path_factory: pytest.TempPathFactory,
    cut: int,
    flips: list[tuple[int, int]],
    closed: bool,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "broken"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run[0], folder)
    path = folder / "A1" / "00000.ome.tif"
    data = bytearray(path.read_bytes())
    if not closed:
        del data[-16 * SLOTS - 2000 :]  # no end: the records are walked
    if cut % 3 == 0:
        del data[max(0, len(data) - cut % 20_000) :]
    for place, bits in flips:
        if data:
            data[place % len(data)] ^= bits
    path.write_bytes(data)
    sent = {frame.jpeg for frame in run[1]}
    for _ in range(2):
        recording = open_run(folder)["A1"]
        recording.summary()
        assert len(recording.parts) <= len(recording) <= len(recording.records) <= 13
        for frame in recording.records:
            assert frame.jpeg in sent or frame.status == "corrupt"
        repair_run(folder, SOFTWARE)


def test_a_walk_over_nothing_but_marks_is_short() -> None:
    """Marks without a record behind them, as many as fit, cost time in proportion to their number."""
    whole = io.BytesIO()
    from espressoscope.recording.layout import MAGIC, PROLOGUE_AT, RECORDS_AT, pack_prologue

    whole.write(bytes(PROLOGUE_AT) + pack_prologue(0, 0, bytes(16)))
    whole.write(bytes(RECORDS_AT - whole.tell()) + MAGIC * 100_000)
    data = whole.getvalue()
    reads = 0

    def read(length: int, offset: int) -> bytes:
        nonlocal reads
        reads += 1
        return data[offset : offset + length]

    contents = read_contents(read, len(data))
    assert contents is not None
    assert len(contents.entries) == 0
    assert reads < 20
