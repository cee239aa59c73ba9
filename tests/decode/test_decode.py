"""decode: pictures against Pillow as an independent reader, damage, hostile headers, the caller's memory."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from espressoscope.decode import MAX_SCANS, decode
from espressoscope.decode import jpeg as decode_module
from espressoscope.errors import CameraError, DecodeError
from espressoscope.model import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

SCALES = (1, 2, 4, 8)

# Smooth, with colour everywhere: scaling must not be able to hide a mistake behind detail.
_ROWS, _COLUMNS = np.mgrid[0:700, 0:900]
SCENE = np.stack(
    [
        128 + 100 * np.sin(_COLUMNS / 61),
        128 + 100 * np.cos(_ROWS / 47),
        128 + 100 * np.sin((_ROWS + _COLUMNS) / 83),
    ],
    axis=-1,
).astype(np.uint8)


def jpeg(width: int = 64, height: int = 48, mode: str = "RGB", **options: Any) -> bytes:
    """Encode a part of the scene, 4:2:2 as the cameras do."""
    image = Image.fromarray(SCENE[:height, :width]).convert(mode)
    if mode == "RGB":
        options.setdefault("subsampling", "4:2:2")
    file = io.BytesIO()
    image.save(file, "JPEG", quality=options.pop("quality", 80), **options)
    return file.getvalue()


SMALL = jpeg(40, 24)


def reference(data: bytes, mode: str = "RGB") -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    if mode == "L" and image.mode in ("RGB", "L"):
        image.draft("L", image.size)  # the brightness as stored, not made from colours clipped to 0..255
    return np.asarray(image.convert(mode))


def frame(data: bytes, **values: Any) -> Frame:
    return Frame(data, sequence=7, received_ns=1, camera="A1", **values)


def segment_at(data: bytes, marker: int) -> int:
    """Offset of the first such segment of a header made by Pillow or a camera, walked independently."""
    at = 2
    while data[at + 1] != marker:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at


def without(data: bytes, marker: int) -> bytes:
    """Leave out every such segment of the header."""
    kept, at = [data[:2]], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] != marker:
            kept.append(data[at:end])
        at = end
    return b"".join(kept) + data[at:]


def with_size(data: bytes, width: int, height: int) -> bytes:
    """Let the header promise another size."""
    at = segment_at(data, 0xC0) + 5
    return data[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 4 :]


def picture_or_error(data: bytes, partial: bool) -> None:
    """The one invariant: any bytes give an array or a DecodeError, and nothing else."""
    try:
        image = decode(data, partial=partial, scale=8)
    except DecodeError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3


@pytest.fixture(scope="module")
def real_jpegs(shared_fixtures) -> dict[str, bytes]:
    files = sorted((shared_fixtures / "real-jpegs").glob("*.jpg"))
    assert len(files) >= 11
    return {file.name: file.read_bytes() for file in files}


# --- whole pictures


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("gray", [False, True])
def test_device_jpegs_decode_like_pillow(real_jpegs, scale, gray):
    for name, data in real_jpegs.items():
        expected = reference(data, "L" if gray else "RGB")
        height, width = expected.shape[:2]
        image = decode(frame(data), scale=scale, gray=gray)
        wanted = (-(-height // scale), -(-width // scale)) + (() if gray else (3,))
        assert image.shape == wanted, name
        assert image.dtype == np.uint8
        if scale == 1:
            assert np.abs(image.astype(int) - expected).max() <= 2, name
        else:
            # Blocks of the full picture, averaged, are what a scaled decoding stands for.
            blocks = expected.reshape(height // scale, scale, width // scale, scale, -1).mean((1, 3))
            assert np.abs(image.reshape(blocks.shape) - blocks).mean() < 4, name
            assert abs(image.mean() - expected.mean()) < 1, name


@pytest.mark.parametrize("scale", SCALES)
def test_bgr_is_rgb_with_the_channels_turned(scale):
    data = jpeg()
    assert np.array_equal(decode(data, scale=scale, order="BGR"), decode(data, scale=scale)[..., ::-1])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("height", [1, 2, 3, 7, 8, 9, 15, 17, 31, 47, 121, 241])
def test_every_size_is_divided_rounding_up(height, scale):
    for width in (*range(1, 35), 63, 65, 127, 129, 255, 319, 321, 641):
        data = jpeg(width, height)
        wanted = (-(-height // scale), -(-width // scale))
        assert decode(data, scale=scale).shape == (*wanted, 3)
        assert decode(data, scale=scale, gray=True).shape == wanted


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(33, 17), (101, 75), (639, 479), (641, 481), (800, 601)])
def test_odd_sizes_show_the_scene(size, scale):
    width, height = size
    image = decode(jpeg(width, height, quality=95), scale=scale).astype(int)
    wanted = SCENE[:height:scale, :width:scale].astype(int)
    # Both ends of both axes: nothing shifted, nothing repeated.
    assert np.abs(image - wanted).mean() < 6
    assert np.abs(image[-1, -1] - SCENE[height - 1, width - 1]).max() < 24


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {}),
        ("RGB", {"subsampling": "4:4:4"}),
        ("RGB", {"subsampling": "4:2:0"}),
        ("RGB", {"progressive": True}),
        ("RGB", {"restart_marker_blocks": 3}),
        ("RGB", {"keep_rgb": True, "subsampling": "4:4:4"}),
    ],
)
@pytest.mark.parametrize("gray", [False, True])
def test_other_kinds_of_jpeg(mode, options, gray):
    data = jpeg(90, 70, mode, **options)
    difference = np.abs(decode(data, gray=gray).astype(int) - reference(data, "L" if gray else "RGB"))
    assert difference.max() <= 2


def test_cmyk_comes_out_as_colour():
    data = jpeg(90, 70, "CMYK")
    assert np.abs(decode(data).astype(int) - reference(data)).mean() < 8
    assert decode(data, gray=True, scale=4).shape == (18, 23)


def test_missing_huffman_tables_are_the_standard_ones(real_jpegs):
    for name, data in real_jpegs.items():
        assert np.array_equal(decode(without(data, 0xC4)), decode(data)), name


def test_bytes_behind_the_picture_do_not_reach_it(real_jpegs):
    stale = 0
    for name, data in real_jpegs.items():
        end = data.index(b"\xff\xd9", segment_at(data, 0xDA)) + 2
        stale += end < len(data)
        whole = decode(data[:end])
        assert np.array_equal(decode(data), whole), name
        for tail in (b"\0" * 600, b"\xff" * 99, data, b"\xff\xd9" * 9):
            assert np.array_equal(decode(data[:end] + tail), whole), name
    assert stale >= 3


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_takes_any_bytes(kind):
    data = jpeg()
    assert np.array_equal(decode(kind(data)), decode(frame(data)))


def test_a_strided_view_is_read_in_its_own_order():
    data = jpeg()
    doubled = bytes(byte for byte in data for _ in range(2))
    assert np.array_equal(decode(memoryview(doubled)[::2]), decode(data))
    assert np.array_equal(decode(memoryview(data[::-1])[::-1]), decode(data))


@pytest.mark.parametrize("wrong", ["text", 5, None])
def test_what_is_no_bytes_is_a_type_error(wrong):
    with pytest.raises(TypeError):
        decode(wrong)


def test_threads_decode_side_by_side():
    pictures = [jpeg(320 + 8 * i, 240) for i in range(8)]
    expected = [decode(data) for data in pictures]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for image, wanted in zip(pool.map(decode, pictures), expected, strict=True):
                assert np.array_equal(image, wanted)


def test_nothing_is_kept_between_calls():
    source = frame(jpeg())
    first, second = source.image(), source.image()
    assert first is not second
    first[:] = 0
    assert second.any()
    assert second.flags.owndata
    assert second.flags.writeable


# --- into the caller's array


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("gray", [False, True])
def test_out_is_filled_and_returned(scale, gray):
    data = jpeg(101, 75)
    expected = decode(data, scale=scale, gray=gray)
    out = np.zeros_like(expected)
    address = out.ctypes.data
    assert frame(data).image(scale=scale, gray=gray, out=out) is out
    assert out.ctypes.data == address
    assert np.array_equal(out, expected)


def test_out_may_be_a_part_of_a_larger_array():
    data = jpeg(64, 48)
    stack = np.zeros((3, 48, 64, 3), np.uint8)
    decode(data, out=stack[1])
    assert np.array_equal(stack[1], decode(data))
    assert not stack[0].any()
    assert not stack[2].any()


@pytest.mark.parametrize(
    ("out", "gray"),
    [
        (np.empty((64, 48, 3), np.uint8), False),
        (np.empty((48, 64), np.uint8), False),
        (np.empty((48, 64, 4), np.uint8), False),
        (np.empty(48 * 64 * 3, np.uint8), False),
        (np.empty((49, 64, 3), np.uint8), False),
        (np.empty((48, 64, 3), np.int8), False),
        (np.empty((48, 64, 3), np.uint16), False),
        (np.empty((48, 64, 3), np.uint8, order="F"), False),
        (np.empty((48, 128, 3), np.uint8)[:, ::2], False),
        (np.frombuffer(bytes(48 * 64 * 3), np.uint8).reshape(48, 64, 3), False),
        (bytearray(48 * 64 * 3), False),
        (np.empty((48, 64, 3), np.uint8), True),
        (np.empty((48, 64, 1), np.uint8), True),
    ],
)
def test_out_that_does_not_fit_is_refused_with_the_shape_wanted(out, gray):
    with pytest.raises(ValueError, match=r"\(48, 64\)" if gray else r"\(48, 64, 3\)") as caught:
        decode(jpeg(64, 48), out=out, gray=gray)
    assert not isinstance(caught.value, CameraError)


@pytest.mark.parametrize("scale", [0, 3, 16, -1, 1.5, "2", None])
def test_other_scales_are_refused(scale):
    with pytest.raises(ValueError, match="1, 2, 4 or 8"):
        decode(jpeg(), scale=scale)


@pytest.mark.parametrize("order", ["rgb", "RGBA", "", None])
def test_other_orders_are_refused(order):
    with pytest.raises(ValueError, match="'RGB' or 'BGR'"):
        decode(jpeg(), order=order)


# --- damaged pictures


def test_a_cut_picture_raises_and_says_what_to_try():
    data = jpeg(640, 480)
    cut = data[: len(data) // 2]
    with pytest.raises(DecodeError) as caught:
        frame(cut, width=640, height=480, status="truncated").image()
    error = caught.value
    assert (error.camera, error.sequence, error.nbytes) == ("A1", 7, len(cut))
    assert (error.width, error.height) == (640, 480)
    for words in ("A1: frame 7", "640x480", f"{len(cut)} bytes", "cut off", "partial=True", "framesize"):
        assert words in str(error)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("gray", [False, True])
def test_partial_gives_what_is_there_and_gray_for_the_rest(scale, gray):
    data = jpeg(640, 480)
    whole = decode(data, scale=scale, gray=gray)
    part = frame(data[: len(data) // 2]).image(scale=scale, gray=gray, partial=True)
    assert part.shape == whole.shape
    top, bottom = slice(0, len(whole) // 4), slice(len(whole) * 3 // 4, None)
    assert np.array_equal(part[top], whole[top])
    assert np.abs(part[bottom].astype(int) - 128).max() <= 1


def test_partial_of_a_whole_picture_is_the_picture():
    data = jpeg()
    assert np.array_equal(decode(data, partial=True), decode(data))


def test_every_cut_of_a_device_jpeg(real_jpegs):
    data = real_jpegs["image_1_2256.jpg"]
    end = data.index(b"\xff\xd9", segment_at(data, 0xDA)) + 2
    scan = segment_at(data, 0xDA) + 14
    for length in (*range(0, end, 37), end - 2, end - 1):
        with pytest.raises(DecodeError):
            decode(data[:length])
        if length > scan:
            assert decode(data[:length], partial=True).shape == (240, 320, 3)


def test_corrupt_scan_data_raise_and_can_be_shown():
    data = bytearray(jpeg(640, 480))
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(range(1, 200, 5))
    with pytest.raises(DecodeError, match=r"corrupt.*partial=True"):
        decode(bytes(data))
    assert decode(bytes(data), partial=True).shape == (480, 640, 3)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\xff", "begin like a JPEG"),
        (b"<html><body>Not found</body></html>", "begin like a JPEG"),
        (b"\xff\xd8", "within its header"),
        (b"\xff\xd8\xff\xd9" + bytes(20), "header is corrupt"),
        (b"\xff\xd8" + b"\xff" * 100_000, "header is corrupt"),
        (b"\xff\xd8" + b"\xff\xd0" * 100_000, "header is corrupt"),
        (b"\xff\xd8" + bytes(1000), "header is corrupt"),
        (jpeg()[:100], "within its header"),
        (without(jpeg(), 0xC0), "no size"),
        (without(jpeg(), 0xDB), "libjpeg says"),
        (with_size(jpeg(), 0, 48), "no size"),
        (with_size(jpeg(), 64, 0), "no size"),
    ],
)
@pytest.mark.parametrize("partial", [False, True])
def test_without_a_usable_header_there_is_not_even_a_part(data, why, partial):
    with pytest.raises(DecodeError, match=why) as caught:
        decode(frame(data), partial=partial)
    assert str(len(data)) in str(caught.value)
    assert caught.value.hint


def test_bytes_without_a_frame_are_called_so():
    with pytest.raises(DecodeError, match=r"^this JPEG \(0 bytes\)") as caught:
        decode(b"")
    assert caught.value.camera is None
    assert caught.value.sequence is None


@pytest.mark.parametrize("precision", [0, 7, 12, 16])
def test_other_sample_depths_are_refused(precision):
    data = bytearray(jpeg())
    data[segment_at(data, 0xC0) + 4] = precision
    with pytest.raises(DecodeError, match="libjpeg says"):
        decode(bytes(data), partial=True)


@pytest.mark.parametrize(
    "kind", [*range(0xC1, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)]
)
@pytest.mark.parametrize("partial", [False, True])
def test_mislabelled_kinds_of_jpeg_end_in_a_picture_or_an_error(kind, partial):
    data = bytearray(jpeg())
    data[segment_at(data, 0xC0) + 1] = kind
    picture_or_error(bytes(data), partial)


def test_fill_bytes_before_a_marker_are_allowed():
    data = jpeg()
    assert np.array_equal(decode(data[:2] + b"\xff" * 9 + data[2:]), decode(data))


# --- headers that come again


def with_comment(data: bytes, text: bytes) -> bytes:
    return data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:]


def test_a_header_that_comes_again_gives_what_it_gave_before():
    data = jpeg()
    first, scan = decode(data), segment_at(data, 0xDA)
    assert decode_module._last == (data[: scan + 10], 48, 64)
    assert np.array_equal(decode(data), first)
    with pytest.raises(DecodeError, match="cut off"):
        decode(data[: scan + 40])
    with pytest.raises(DecodeError, match="within its header"):
        decode(data[: scan + 9])
    with pytest.raises(DecodeError):
        decode(data[:-2] + data[scan:])  # a second scan
    with pytest.raises(DecodeError):
        decode(with_size(data, 63, 48)[: scan + 10] + bytes(100))


def test_only_short_headers_are_remembered():
    whole = decode(SMALL)
    for text in (bytes(decode_module.MAX_HEADER_BYTES), b"begin \xff\xda end", b""):
        for _ in range(2):
            assert np.array_equal(decode(with_comment(SMALL, text)), whole)
            assert len(decode_module._last[0]) <= decode_module.MAX_HEADER_BYTES


def test_headers_of_several_scans_are_not_remembered():
    decode(SMALL)
    before = decode_module._last
    decode(jpeg(48, 48, progressive=True))
    assert decode_module._last is before


def outcome(call: Callable[[], np.ndarray]) -> np.ndarray | str:
    """Give the picture, or the error's words."""
    try:
        return call()
    except DecodeError as error:
        return str(error)


@pytest.mark.parametrize("partial", [False, True])
def test_a_decoder_gives_what_decode_gives(partial):
    decoder = decode_module.Decoder("BGR", partial)
    pictures = [jpeg(64, 48), jpeg(64, 48, quality=60), jpeg(64, 48, "L"), jpeg(), SMALL, SMALL, b"", SMALL]
    pictures += [b"junk" + SMALL, SMALL[:-40], SMALL, jpeg(40, 24, progressive=True)]
    for scale, gray in [(1, False), (2, False), (2, True), (2, False)]:
        for data in pictures:
            given = Frame(data, 0, 0)
            options: Any = {"scale": scale, "gray": gray, "order": "BGR", "partial": partial}
            expected = outcome(lambda: decode(given, **options))  # noqa: B023 - called at once
            found = outcome(lambda: decoder.decode(given, scale, gray))  # noqa: B023
            assert np.array_equal(found, expected)


# --- hostile pictures


@pytest.mark.parametrize("size", [(65535, 65535), (65500, 65500), (8001, 8000)])
@pytest.mark.parametrize("options", [{}, {"scale": 8, "gray": True}, {"partial": True}])
def test_a_bomb_is_refused_before_memory_is_taken(size, options, monkeypatch):
    def no_memory(*_: Any) -> None:
        raise AssertionError("memory was asked for")

    monkeypatch.setattr(decode_module.np, "empty", no_memory)
    with pytest.raises(DecodeError, match=f"{size[0]}x{size[1]} pixels, more than 64000000"):
        decode(with_size(jpeg(), *size), **options)


def test_the_ceiling_itself_is_allowed(monkeypatch):
    data = jpeg(64, 48)
    decode(SMALL)  # and no longer remember this header
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(DecodeError, match="64x48"):
        decode(data)
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 64 * 48)
    assert decode(data).shape == (48, 64, 3)


def test_a_picture_of_a_million_scans_is_refused():
    data = jpeg(64, 48, "L", progressive=True)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xda", first + 2)
    scan = data[first:second]
    assert decode(data).shape == (48, 64, 3)
    with pytest.raises(DecodeError, match=f"more than {MAX_SCANS} scans"):
        decode(data[:first] + scan * 100_000 + data[-2:], partial=True)


def test_a_second_scan_behind_a_whole_one_is_an_error():
    data = jpeg()
    with pytest.raises(DecodeError):
        decode(data[:-2] + data[segment_at(data, 0xDA) :])


@given(st.binary(max_size=600), st.booleans())
def test_any_bytes_end_in_a_picture_or_a_decode_error(data, partial):
    picture_or_error(data, partial)
    picture_or_error(b"\xff\xd8" + data, partial)


@given(
    st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, len(SMALL)),
    st.booleans(),
)
def test_any_damage_ends_in_a_picture_or_a_decode_error(changes, length, partial):
    data = bytearray(SMALL)
    for at, value in changes:
        data[at] = value
    picture_or_error(bytes(data[:length]), partial)
    picture_or_error(bytes(data), partial)


def test_junk_before_the_picture_is_passed_over() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 60)).save(buffer, "JPEG")
    clean = decode(buffer.getvalue())
    assert np.array_equal(decode(b"\xff\xd8 junk \xff\xd9" + buffer.getvalue()), clean)
