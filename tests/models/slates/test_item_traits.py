"""What policies know of items themselves."""

from __future__ import annotations

from pathlib import Path

from expectations.runtime.lake import Lake
from expectations.tables import ITEM_FEATURES
from models.data.arrow_rows import arrow_rows
from models.slates.item_traits import NONE, ItemTraits
from tests.worlds.judged_night import write_vocabulary
from tests.worlds.policy_night import DS, SHOP, night_of

PAD, UNKNOWN = 0, 1


def test_kinds_are_the_two_finest_known_levels(tmp_path: Path) -> None:
    (tmp_path / "corner.toml").write_text(SHOP)
    lake = Lake(str(tmp_path / "root"))
    write_vocabulary(lake, DS, ["u"], list("abcdef"))
    told = {
        2: ([2, 3, 4], 7),
        3: ([2, 3, UNKNOWN], 8),
        4: ([2], 7),
        6: ([UNKNOWN], UNKNOWN),
        7: ([], PAD),
    }
    others: dict[str, object] = {"domain_index": 1, "price_bucket": 0, "age_days": 9, "is_available": True}
    others |= {"token_indices": [], "description_token_indices": []}
    rows = [
        {"item_index": item, "category_indices": levels, "brand_index": brand, **others}
        for item, (levels, brand) in told.items()
    ]
    lake.write(ITEM_FEATURES, DS, arrow_rows(ITEM_FEATURES, DS, rows), "items")
    traits = ItemTraits.of(night_of(tmp_path).lake, DS)
    assert traits.kind.tolist() == [NONE, NONE, 4, 3, 2, NONE, NONE, NONE]
    assert traits.wider_kind.tolist() == [NONE, NONE, 3, 2, 2, NONE, NONE, NONE]
    assert traits.brand.tolist() == [NONE, NONE, 7, 8, 7, NONE, NONE, NONE]
