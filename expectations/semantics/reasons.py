"""Which reason a row of a list gives: the best that is true of it, in one order for the night's tables and sessions.

From the best: the user bought the item before; another item of theirs speaks for it; they looked at it before; it
sells well; the model chose it, or, where demand alone chose, it is in the range.
"""

from __future__ import annotations

import numpy as np

from expectations.shop.reasons import Reason


def reasons_of(
    items: np.ndarray,
    by_demand: np.ndarray,
    is_popular: np.ndarray,
    is_met: np.ndarray,
    cited: np.ndarray,
    is_cited_bought: np.ndarray,
    is_bought: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the reason of each row, and the index of the item that it cites, 0 for none.

    Args:
        items: the index of the row's item. Like all others, of shape (num_rows,).
        by_demand: whether demand alone chose the row.
        is_popular: whether the item may be called popular.
        is_met: whether the user looked at the item before.
        cited: the index of the user's item that speaks for the row, 0 for none.
        is_cited_bought: whether the user bought that one; looked at only where `cited` is an item.
        is_bought: whether the user bought the row's item before.

    Returns:
        Codes, texts of `Reason` as objects (NumPy keeps no member of a text enumeration), and item indices, int32.
    """
    codes = np.full(len(items), Reason.PICKED_FOR_YOU, dtype=object)
    codes[by_demand] = Reason.IN_OUR_RANGE
    codes[is_popular] = Reason.POPULAR
    codes[is_met] = Reason.LOOK_AGAIN
    codes[(cited > 0) & is_cited_bought] = Reason.BECAUSE_YOU_BOUGHT
    codes[(cited > 0) & ~is_cited_bought] = Reason.BECAUSE_YOU_VIEWED
    codes[is_bought] = Reason.BUY_AGAIN
    because = np.where(is_bought, items, np.where(cited > 0, cited, np.where(is_met, items, 0)))
    return codes, because.astype(np.int32)
