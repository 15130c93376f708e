"""Small product pictures that tell something: the colour, the group and the brand of an item can be seen.

The background is the item's domain, the shape its group, the shape's fill its colour; how often the shape is repeated
is its shelf within the group, and the stripes below are its brand's.
"""

from __future__ import annotations

import io
import math

from PIL import Image, ImageDraw

from jobs.demo_shop.catalogue import COLOURS, Catalogue
from jobs.demo_shop.shelves import BRANDS_PER_GROUP, DOMAINS, GROUP_DOMAIN, SHELVES

SIZE = 64
"""Pixels; the default of a shop's `image_size`."""
_BACKGROUNDS = {"electronics": (214, 224, 236), "home": (238, 228, 208)}
_OUTLINE = (90, 90, 96)
"""A dark grey, which shows on every background."""


def picture(goods: Catalogue, item: int) -> bytes:
    """Returns a PNG of SIZE x SIZE pixels; the same item gives the same bytes."""
    shelf = SHELVES[goods.shelf[item]]
    image = Image.new("RGB", (SIZE, SIZE), _BACKGROUNDS[GROUP_DOMAIN[shelf.group]])
    draw = ImageDraw.Draw(image)
    alike = [other.name for other in SHELVES if other.group == shelf.group]
    _draw_shapes(draw, shelf.group, alike.index(shelf.name) + 1, COLOURS[goods.colour_name(item)])
    _draw_stripes(draw, int(goods.brand[item]) % BRANDS_PER_GROUP + 1)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _draw_shapes(draw: ImageDraw.ImageDraw, group: str, count: int, fill: tuple[int, int, int]) -> None:
    """`count` copies of the group's shape, side by side: a polygon, or (in the home domain) a star."""
    groups = DOMAINS[GROUP_DOMAIN[group]]
    num_corners = 3 + groups.index(group)
    is_star = group in DOMAINS["home"]
    radius = 22 / math.sqrt(count)
    for copy in range(count):
        centre_x = SIZE * (2 * copy + 1) / (2 * count)
        points = []
        for corner in range(num_corners * (2 if is_star else 1)):
            angle = 2 * math.pi * corner / (num_corners * (2 if is_star else 1)) - math.pi / 2
            reach = radius * (0.45 if is_star and corner % 2 else 1.0)
            points.append((round(centre_x + reach * math.cos(angle)), round(26 + reach * math.sin(angle))))
        draw.polygon(points, fill=fill, outline=_OUTLINE)


def _draw_stripes(draw: ImageDraw.ImageDraw, count: int) -> None:
    for stripe in range(count):
        draw.rectangle((6 + 11 * stripe, 54, 12 + 11 * stripe, 59), fill=_OUTLINE)
