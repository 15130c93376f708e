"""The words of reasons, by language: a template for each code, which a shop may word in its own way.

A template that cites says `{title}` once, where the title of the cited item comes in, or the name of a country or of a
category; the text before it and after it stands as it is. Titles are put between the two and never looked at, so that
whatever a title holds stays a title.

Words that name an act are true of it: only what was bought is called so. "Viewed" is said of whatever else somebody
had to do with an item, since they looked at what they clicked or put in a cart. Words of demand and of favourite
categories name no act, since both may be of views as well as of purchases.
"""

from __future__ import annotations

from collections.abc import Mapping

from expectations.shop.reasons import POPULARITY_MODELS, Reason

TITLE = "{title}"
POPULAR_ALWAYS = "popular_always"
"""The words of Reason.POPULAR where demand of all time says what sells, which is not popular "now"."""
LANGUAGES: dict[str, dict[str, str]] = {
    "en": {
        Reason.BUY_AGAIN: "You bought this before",
        Reason.LOOK_AGAIN: "You looked at this before",
        Reason.POPULAR: "Popular right now",
        POPULAR_ALWAYS: "Popular with our customers",
        Reason.PICKED_FOR_YOU: "Picked for you",
        Reason.IN_OUR_RANGE: "From our range",
        Reason.POPULAR_WITH_PEERS: "Popular with customers like you",
        Reason.BECAUSE_YOU_BOUGHT: "Because you bought {title}",
        Reason.BECAUSE_YOU_VIEWED: "Because you viewed {title}",
        Reason.BOUGHT_TOGETHER: "Often bought with {title}",
        Reason.VIEWED_TOGETHER: "Often viewed with {title}",
        Reason.ALIKE: "Similar to {title}",
        Reason.POPULAR_IN_COUNTRY: "Popular in {title}",
        Reason.NEW_IN_CATEGORY: "New in {title}, your favourite category",
    },
    "zh": {
        Reason.BUY_AGAIN: "您曾购买过此商品",
        Reason.LOOK_AGAIN: "您曾浏览过此商品",
        Reason.POPULAR: "当前热门",
        POPULAR_ALWAYS: "深受顾客喜爱",
        Reason.PICKED_FOR_YOU: "为您精选",
        Reason.IN_OUR_RANGE: "本店商品",
        Reason.POPULAR_WITH_PEERS: "与您相似的顾客喜欢",
        Reason.BECAUSE_YOU_BOUGHT: "因为您购买过“{title}”",
        Reason.BECAUSE_YOU_VIEWED: "因为您浏览过“{title}”",
        Reason.BOUGHT_TOGETHER: "常与“{title}”一起购买",
        Reason.VIEWED_TOGETHER: "常与“{title}”一起浏览",
        Reason.ALIKE: "与“{title}”相似",
        Reason.POPULAR_IN_COUNTRY: "在{title}很受欢迎",
        Reason.NEW_IN_CATEGORY: "您最关注的“{title}”上新了",
    },
}


def require_texts(language: str, own: Mapping[str, str]) -> None:
    """Refuses what no reason can be worded by.

    Raises:
        ValueError: names the key, the rule and what came.
    """
    if language not in LANGUAGES:
        raise ValueError(
            f"`language` must be one of {', '.join(LANGUAGES)}; word any other under [reason_texts], all of its codes. "
            f"Received: {language!r}"
        )
    for code, text in own.items():
        if code not in LANGUAGES[language]:
            raise ValueError(f"`reason_texts` must name {', '.join(LANGUAGES[language])}. Received: {code!r}")
        times = LANGUAGES[language][code].count(TITLE)
        if text.count(TITLE) != times or not text.strip():
            how = f"hold {TITLE} once" if times else f"be a text without {TITLE}"
            raise ValueError(f"`reason_texts.{code}` must {how}. Received: {text!r}")


def worded(texts: Mapping[str, str], reason: Reason, demand_source: str) -> tuple[str, str | None]:
    """What stands before a title and after it; a reason that cites nothing has nothing after it, None.

    Args:
        texts: of a shop, complete; see `expectations.shop.shop.Shop.texts`.
        demand_source: the model that says what is popular.
    """
    is_of_all_time = reason is Reason.POPULAR and demand_source != POPULARITY_MODELS[0]
    before, cites, after = texts[POPULAR_ALWAYS if is_of_all_time else reason].partition(TITLE)
    return before, after if cites else None
