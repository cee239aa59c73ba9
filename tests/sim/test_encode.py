"""The simulator's JPEGs have the real device's header and tables, to the byte."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from espressoscope.sim import huffman
from espressoscope.sim.encode import ZIGZAG, encode, encode_scan, header, quantisation

if TYPE_CHECKING:
    from pathlib import Path


def _picture(width: int = 64, height: int = 48, spread: float = 30) -> Image.Image:
    rng = np.random.default_rng(4)
    return Image.fromarray(rng.normal(128, spread, (height, width, 3)).clip(0, 255).astype(np.uint8))


def _segments(jpeg: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 2
    while True:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        found.append((marker, jpeg[at + 4 : at + 2 + length]))
        at += 2 + length
        if marker == 0xDA:
            return [*found, (0, jpeg[at:])]


def test_header_is_that_of_real_boards(shared_fixtures: Path) -> None:
    pictures = sorted((shared_fixtures / "real-jpegs").glob("*.jpg"))
    assert len(pictures) >= 10
    for path in pictures:
        real = path.read_bytes()
        opened = Image.open(io.BytesIO(real))
        ours = header(*opened.size, opened.quantization[0][0])
        assert len(ours) == 623
        assert real.startswith(ours), path.name


def test_real_pictures_encode_to_about_their_size(shared_fixtures: Path) -> None:
    for path in sorted((shared_fixtures / "real-jpegs").glob("*.jpg")):
        real = path.read_bytes()
        opened = Image.open(io.BytesIO(real))
        again = encode(opened.convert("RGB"), opened.quantization[0][0])
        assert 0.8 < len(again) / len(real) < 1.2, path.name


def test_segments_and_their_order() -> None:
    jpeg = encode(_picture(), 12)
    assert jpeg[:20].hex() == "ffd8ffe000104a46494600010101000000000000"
    assert [marker for marker, _ in _segments(jpeg)] == [0xE0, 0xDB, 0xDB, *[0xC4] * 4, 0xC0, 0xDA, 0]
    assert jpeg.endswith(b"\xff\xd9")
    scan = _segments(jpeg)[-1][1]
    assert b"\xff" not in scan[:-2].replace(b"\xff\x00", b""), "no restart markers, no second end"


def test_huffman_tables_are_those_pillow_knows() -> None:
    out = io.BytesIO()
    _picture().save(out, "JPEG", quality=75)
    theirs = b"".join(body for marker, body in _segments(out.getvalue()) if marker == 0xC4)
    codes = {0x00: huffman.DC_LUMA, 0x10: huffman.AC_LUMA, 0x01: huffman.DC_CHROMA, 0x11: huffman.AC_CHROMA}
    for number, code in codes.items():
        assert bytes((number,)) + code.counts + code.symbols in theirs


def test_zigzag_is_the_standard_order() -> None:
    assert ZIGZAG[:10] == (0, 1, 8, 16, 9, 2, 3, 10, 17, 24)
    assert ZIGZAG[-4:] == (47, 55, 62, 63)
    assert sorted(ZIGZAG) == list(range(64))


@pytest.mark.parametrize("quality", [0, 1, 4, 6, 10, 12, 31, 63])
def test_quality_is_recovered_from_the_tables(quality: int) -> None:
    opened = Image.open(io.BytesIO(encode(_picture(), quality)))
    assert opened.quantization[0][0] == max(1, quality)
    for theirs, ours in zip(opened.quantization.values(), quantisation(quality), strict=True):
        assert tuple(theirs) in (ours, tuple(ours[at] for at in ZIGZAG))  # Pillow's order changed once


def test_quality_ten_by_hand() -> None:
    luma, chroma = quantisation(10)
    assert luma[:4] == (10, 7, 6, 10)
    assert (luma[63], chroma[0], chroma[63]) == (62, 11, 62)
    assert max(max(table) for table in quantisation(63)) == 255


def test_colours_are_subsampled_two_to_one_across() -> None:
    jpeg = encode(_picture(), 12)
    frame = dict(_segments(jpeg))[0xC0]
    assert frame.hex() == "08" + f"{48:04x}{64:04x}" + "03012100021101031101"
    assert Image.open(io.BytesIO(jpeg)).layer[0][1:3] == (2, 1)


def test_bytes_decode_to_what_was_encoded() -> None:
    source = _picture(160, 120, 5).convert("L").convert("RGB")
    decoded = np.asarray(Image.open(io.BytesIO(encode(source, 1))).convert("L")).astype(int)
    worst = int(np.abs(decoded - np.asarray(source.convert("L"))).max())
    assert worst <= 6


def test_a_block_reads_back_what_was_written() -> None:
    rng = np.random.default_rng(8)
    for _ in range(50):
        block = (rng.integers(-900, 900, 64) * (rng.random(64) < rng.choice([0.02, 0.3, 0.9]))).tolist()
        value, length = huffman.dc_bits(block[0], huffman.DC_LUMA)
        rest, more = huffman.ac_bits(block[1:], huffman.AC_LUMA)
        bits, length = value << more | rest, length + more
        fill = -length % 8
        plain = (bits << fill | (1 << fill) - 1).to_bytes((length + fill) // 8, "big")
        reader = huffman.BitReader(plain.replace(b"\xff", b"\xff\x00"))
        read = reader.block(huffman.DC_LUMA, huffman.AC_LUMA)
        assert read + [0] * (64 - len(read)) == block
        assert (len(read) == 64) == (block[63] != 0)
        assert reader.left == fill


def test_reader_reads_pillows_blocks_to_the_last() -> None:
    scan = encode_scan(_picture(64, 48), 12)
    reader = huffman.BitReader(scan)
    for _ in range(64 // 16 * 48 // 8):
        for dc, ac in (
            *((huffman.DC_LUMA, huffman.AC_LUMA),) * 2,
            *((huffman.DC_CHROMA, huffman.AC_CHROMA),) * 2,
        ):
            reader.block(dc, ac)
    assert reader.left < 8
    with pytest.raises(ValueError, match="ends inside"):
        huffman.BitReader(scan[:2]).block(huffman.DC_LUMA, huffman.AC_LUMA)
