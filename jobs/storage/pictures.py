"""Decodes product pictures of any kind that a shop may drop, and of no kind at all.

A picture becomes size x size RGB pixels: turned upright as its EXIF says, shrunk to fit, centred on white, which also
shows through where it is transparent. The pixels depend on the version of Pillow, whose next one may round in another
way: what keeps pixels must know from which (see `DECODER`).
"""

from __future__ import annotations

import io
import warnings

import PIL
from PIL import Image, ImageOps

DECODER = f"Pillow {PIL.__version__}"
MAX_FILE_BYTES = 20 << 20
"""20 MiB; a larger file is not decoded, which bounds the memory of a task."""
MAX_PIXELS = 50_000_000
"""Of a picture as it lies in its file; a larger one is a mistake, or made to fill the memory."""
# Others that Pillow knows are no pictures of products, and some start programs: PostScript is one.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_WHITE = (255, 255, 255)
"""What shows through where a picture is transparent, and fills up one that is no square."""


def decoded(content: bytes, size: int) -> bytes | None:
    """Returns rows from the top, RGB, size x size x 3 bytes; None when `content` is no whole picture."""
    if len(content) > MAX_FILE_BYTES:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _fitted(content, size).tobytes()
    # Each format fails in its own way (OSError, SyntaxError, struct.error …), and all of them mean the same.
    except Exception:
        return None


def _fitted(content: bytes, size: int) -> Image.Image:
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"a picture has at most {MAX_PIXELS} pixels. Received: {image.width} x {image.height}")
        # A JPEG can be decoded at a half, a quarter or an eighth; twice the size keeps what shrinking needs.
        image.draft("RGB", (2 * size, 2 * size))
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            layer = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", layer.size, (*_WHITE, 255)), layer)
        return ImageOps.pad(upright.convert("RGB"), (size, size), Image.Resampling.BICUBIC, _WHITE)
