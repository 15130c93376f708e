"""What files become pixels, and what is left of those that do not."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jobs.storage.picture_files import PictureFiles
from jobs.storage.pictures import MAX_FILE_BYTES, MAX_PIXELS, decoded

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def pixel_at(pixels: bytes | None, size: int, row: int, column: int) -> tuple[int, ...]:
    assert pixels is not None
    start = (row * size + column) * 3
    return tuple(pixels[start : start + 3])


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says of itself to be 100,000 x 100,000 pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_picture_is_fitted_and_centred_on_white() -> None:
    pixels = decoded(saved(Image.new("RGB", (40, 20), RED)), 8)
    rows = [pixel_at(pixels, 8, row, 3) for row in range(8)]
    assert rows == [WHITE, WHITE, RED, RED, RED, RED, WHITE, WHITE]


def test_a_photograph_is_turned_upright() -> None:
    photograph = Image.new("RGB", (16, 16), BLUE)
    photograph.paste(RED, (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    pixels = decoded(saved(photograph, "JPEG", exif=exif, quality=100, subsampling=0), 4)
    assert pixel_at(pixels, 4, 0, 0)[2] > 200
    assert pixel_at(pixels, 4, 3, 0)[0] > 200


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    pixels = decoded(saved(Image.new(mode, (9, 9)), kind), 4)
    assert pixels is not None
    assert len(pixels) == 4 * 4 * 3


def test_white_shows_through_what_is_transparent() -> None:
    assert pixel_at(decoded(saved(Image.new("RGBA", (4, 4), (255, 0, 0, 0))), 2), 2, 0, 0) == WHITE


def test_what_is_no_whole_picture_has_no_pixels() -> None:
    whole = saved(Image.effect_noise((200, 200), 90).convert("RGB"), "JPEG")
    assert decoded(whole, 8) is not None
    assert decoded(whole[: len(whole) // 2], 8) is None
    assert decoded(b"", 8) is None
    assert decoded(b"<svg></svg>", 8) is None
    assert decoded(bomb(), 8) is None
    assert decoded(saved(Image.new("1", (MAX_PIXELS // 5_000 + 1, 5_000))), 8) is None
    assert decoded(saved(Image.new("RGB", (4, 4))) + bytes(MAX_FILE_BYTES), 8) is None


@pytest.mark.parametrize("kind", ["EPS", "PPM", "PDF"])
def test_formats_that_no_shop_shows_are_not_opened(kind: str) -> None:
    assert decoded(saved(Image.new("RGB", (8, 8)), kind), 8) is None


@given(st.binary(max_size=200), st.integers(0, 199))
def test_damage_anywhere_is_never_an_error(noise: bytes, place: int) -> None:
    whole = saved(Image.new("RGB", (16, 16), RED), "GIF")
    pixels = decoded(whole[:place] + noise + whole[place + len(noise) :], 4)
    assert pixels is None or len(pixels) == 4 * 4 * 3


def test_files_are_found_within_the_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "drop/shoes").mkdir(parents=True)
    for name in ("drop/shoes/1 ä%20.png", "secret.png"):
        (tmp_path / name).write_bytes(b"12345")
    files = PictureFiles(f"{tmp_path}/drop", f"{tmp_path}/stored")
    inside = ["shoes/1 ä%20.png", f"{tmp_path}/drop/shoes/1 ä%20.png", "./shoes/../shoes/1 ä%20.png"]
    outside = [
        "../secret.png", f"{tmp_path}/secret.png", f"{tmp_path}/drop/../secret.png", "shoes/../../secret.png",
        "shoes", ".", "", "/etc/passwd", "https://shop.example/1.png", "x" * 300 + ".png", "shoes/1\0.png",
        "shoes/1 ä%20.png/x", "sha256:" + "0" * 64, "sha256:../drop/shoes",
    ]  # fmt: skip
    found = files.sources([*inside, *outside])
    time_of_file = (tmp_path / "drop/shoes/1 ä%20.png").stat().st_mtime_ns
    assert found == [*(f"{path} 5 {time_of_file}" for path in inside), *(None for _ in outside)]
    assert [files.content(path) for path in inside] == [b"12345"] * 3
    assert [files.content(path) for path in outside[:4]] == [None] * 4


def test_bytes_are_kept_once_under_their_hash(tmp_path: Path) -> None:
    files = PictureFiles(f"{tmp_path}/drop", f"{tmp_path}/stored")
    path = files.store(b"abc")
    assert path == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.store(b"abc") == path
    assert [kept.name for kept in (tmp_path / "stored").iterdir()] == [path.removeprefix("sha256:")]
    assert files.content(path) == b"abc"
    assert files.sources([path])[0] is not None
