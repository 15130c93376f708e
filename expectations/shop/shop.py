"""A shop: one TOML file that says where its raw drops lie, how their columns map onto the contract, and its rules.

The files that ship are in `jobs/shops/`; `SHOP=` takes the name of one of them or a path to any other.
"""

from __future__ import annotations

import logging
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from expectations.shop.bounds import AtLeastOne, Bounded, Share, ZeroForNoBound, one_of
from expectations.shop.drop_settings import Drops
from expectations.shop.list_rules import ListRules
from expectations.shop.policy_settings import Policy
from expectations.shop.presets import with_preset
from expectations.shop.raw_files import RawFile
from expectations.shop.reason_texts import LANGUAGES, require_texts
from expectations.shop.reward import Reward
from expectations.shop.table_settings import GraphEdges, NewItems, NewUsers, SimilarItems
from expectations.shop.toml_settings import SettingsError, settings_from_mapping
from expectations.tables import EVENT_TYPES, EVENTS, ITEM_UPDATES, USER_UPDATES

logger = logging.getLogger(__name__)
NO_LONGER_READ = {"currency"}
"""Keys of shop files that once were settings: they change nothing, and are refused from the next release on."""
SHIPPED_SHOPS = Path(__file__).resolve().parents[2] / "jobs" / "shops"


@dataclass(frozen=True)
class Publish(Bounded):
    """Bounds on all finished lists together; a night whose lists break one of them publishes nothing.

    Attributes:
        max_fallback_share: largest share of rows that may be fallback items in place of the published model's.
        min_coverage: smallest share of the items on sale that must stand in at least one list.
        min_overlap: smallest mean share of a list that must have stood in the same user's previous published list.
        min_rows_share: smallest number of rows of a table of lists, as a share of those that passed on the latest
            earlier day.
    """

    max_fallback_share: Share = 1.0
    min_coverage: Share = 0.0
    min_overlap: Share = 0.0
    min_rows_share: Share = 0.5


@dataclass(frozen=True)
class Gate(Bounded):
    """The gate: what a model's lists must be like to be published, and what it takes to replace the champion.

    Attributes:
        min_varying_share: smallest share of users whose scores are not all the same. A model that scores everything
            alike says nothing; single users may well have ties only.
        min_user_share: smallest share of the users with interactions who have a list. A model that reaches fewer of its
            users is not what was judged, since the rest gets fallback lists.
        min_kept_share: smallest share of their list of the backtest that users who did nothing since keep, of deep
            models. Sound refits keep twice the default, and shuffled ones two thirds of it.
        min_variety: how many different items such lists hold at least, as a share of those of the backtest. The default
            is far below what any sound refit has, and above one that offers everybody the same ten items.
        min_judged_users: with fewer users judged by the backtest, figures are no evidence: the champion stays, a deep
            model replaces no baseline, and no policy re-ranks by the backtest.
        promotion: `interval` (a model replaces the champion, and a deep one a baseline, where the 95 % interval of its
            gain lies above 0, so that equal models do not take turns) or `best` (the highest figure is published).
    """

    min_varying_share: Share = 0.5
    min_user_share: Share = 0.8
    min_kept_share: Share = 0.15
    min_variety: Share = 0.1
    min_judged_users: AtLeastOne = 30
    promotion: Annotated[str, one_of("interval", "best"), "must be interval or best"] = "interval"


@dataclass(frozen=True)
class Shop(Bounded):
    """What a night needs to know of a shop. Checks itself; see docs/own_shop.md.

    Attributes:
        name: the shop's short name; one NIGHTJAR_ROOT holds one shop.
        title: the shop's name as people read it.
        source: where the raw data comes from, and under which terms.
        events, items, users: the raw files. Without `items` or `users` they are derived from the events.
        more_events: further files of events, such as orders beside clicks: what stands under the second `[[events]]` of
            a shop file and those after it. A drop is whole when each of them is there.
        items_from_events: contract column of items -> raw column of the events file. Beside an `items` file of
            `changes`, it tells of the items that no file knows: an event puts its item up for sale.
        users_from_events: contract column of users -> raw column of the events file, for a shop without a users file.
        items_file: `full` (an item that is not in the day's file is no longer sold) or `changes`.
        event_weights: event type -> what one such event says of a taste; types that are absent weigh nothing.
        target_events: the event types that a good recommendation leads to; the backtest's truth.
        horizon_days: how many days the backtest holds back, and judges on.
        num_windows: how many such stretches of days, one before the other, the backtest judges models on, each fitted
            anew.
        weekly_backtest: the backtest's models are fitted as of the Sunday on or before `ds - horizon_days`, so that one
            fit serves the nights of a week; they are judged on the `horizon_days` after it all the same.
        top_k: items per user in the published lists.
        repeats: may an item be recommended to somebody who bought it? `allowed`, `never`, or `after_gap`: when it is
            longer ago than the item's buyers usually wait until they buy it again.
        num_prior_gaps: with `after_gap`, an item's usual wait is averaged with so many of the shop's: one impatient
            user does not make a consumable.
        max_repeat_share: of a list, how much may be what the user bought before; 1 sets no bound.
        rules: what else the lists of users must be like.
        policy: how these lists are re-ranked for the long term, and how much of them is left to chance.
        reward: what a policy is to earn.
        active_days: users without an event for so many days get no list; 0 means everybody gets one.
        retention_days: users without an event for so many days are forgotten, and begin anew should they come back:
            neither models nor rules know what they did before. 0 means never. A night then costs what the active cost.
        max_history: events per user that models look at, the latest; purchases before them count for rules and demand.
        session_pause_minutes: where a shop names no sessions, a longer pause ends one; half an hour is the custom of
            web analytics.
        sold_within_days: for a shop without a file of items, an item is on sale for so many days after an event or an
            update last spoke of it.
        shelf_life_hours: published rows tell readers that they expire so long after the end of `ds`; two days outlive
            one night that fails.
        max_values: how many values of a category, brand, country or interest get an index of their own.
        min_value_count: how many items (or users) must have a value for that; rarer ones share the unknown index.
        image_size: height and width of the pictures that models see, in pixels.
        num_candidates: items per user that each retrieval model proposes.
        models: which models run, by the names in models/configs.
        language: of the reasons that shoppers read: en or zh.
        reason_texts: code -> the shop's own words in place of those; see `expectations.shop.reason_texts`.
        settings: model -> settings in place of those of models/configs.
        refit: how often deep models are fitted: `nightly`, or `weekly`: on Sundays, the calendar anchors, from nothing;
            on the other days of a week their Sunday's weights answer as they are, for the features of the day.
        warm_start: with nightly fits, those of Sundays are from nothing; on other days they go on from the weights of
            their Sunday, which are fitted first where they are not there.
        primary_metric: what the gate compares, at `top_k`.
        seed: of everything random.
    """

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,62}$"), "must be lower-case letters, digits and _"]
    events: RawFile
    title: str = ""
    source: str = ""
    items: RawFile | None = None
    users: RawFile | None = None
    more_events: tuple[RawFile, ...] = ()
    items_from_events: dict[str, str] = field(default_factory=dict)
    users_from_events: dict[str, str] = field(default_factory=dict)
    items_file: Annotated[str, one_of("full", "changes"), "must be full or changes"] = "full"
    drops: Drops = field(default_factory=Drops)
    publish: Publish = field(default_factory=Publish)
    rules: ListRules = field(default_factory=ListRules)
    gate: Gate = field(default_factory=Gate)
    policy: Policy = field(default_factory=Policy)
    reward: Reward = field(default_factory=Reward)
    similar_items: SimilarItems = field(default_factory=SimilarItems)
    new_users: NewUsers = field(default_factory=NewUsers)
    new_items: NewItems = field(default_factory=NewItems)
    graph_edges: GraphEdges = field(default_factory=GraphEdges)
    language: str = "en"
    reason_texts: dict[str, str] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    event_weights: dict[str, float] = field(
        default_factory=lambda: {"view": 1.0, "click": 2.0, "cart": 3.0, "purchase": 5.0}
    )
    target_events: tuple[str, ...] = ("purchase",)
    horizon_days: AtLeastOne = 30
    num_windows: AtLeastOne = 1
    weekly_backtest: bool = False
    top_k: AtLeastOne = 10
    repeats: Annotated[str, one_of("allowed", "after_gap", "never"), "must be allowed, after_gap or never"] = "allowed"
    num_prior_gaps: AtLeastOne = 20
    max_repeat_share: Share = 1.0
    active_days: ZeroForNoBound = 0
    retention_days: ZeroForNoBound = field(default=0, metadata={"old_names": ("memory_days",)})
    max_history: AtLeastOne = 200
    session_pause_minutes: AtLeastOne = 30
    sold_within_days: AtLeastOne = 365
    shelf_life_hours: AtLeastOne = 48
    max_values: AtLeastOne = 20_000
    min_value_count: AtLeastOne = 1
    image_size: AtLeastOne = 64
    num_candidates: AtLeastOne = 100
    models: Annotated[tuple[str, ...], Field(min_length=1), "must name at least one model"] = (
        "all_time_popularity",
        "recent_demand",
        "item_item",
        "two_tower",
        "deep_cf",
    )
    refit: Annotated[str, one_of("nightly", "weekly"), "must be nightly or weekly"] = "nightly"
    warm_start: bool = False
    primary_metric: Annotated[
        str, one_of("ndcg", "recall", "map", "mrr", "hit_rate"), "must be ndcg, recall, map, mrr or hit_rate"
    ] = "ndcg"
    seed: int = 20240101
    folder: str = field(default=".", metadata={"not_in_file": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.retention_days and not 1 <= self.active_days <= self.retention_days:
            raise ValueError(
                f"with `retention_days`, `active_days` must be 1 to {self.retention_days}: whoever is forgotten gets "
                f"no list. Received: active_days={self.active_days}, retention_days={self.retention_days}"
            )
        if self.num_candidates < 2 * self.top_k:
            raise ValueError(
                f"`num_candidates` must be at least twice `top_k`, so that rules can remove some. "
                f"Received: num_candidates={self.num_candidates}, top_k={self.top_k}"
            )
        require_texts(self.language, self.reason_texts)
        _require_event_types("event_weights", set(self.event_weights))
        _require_event_types("target_events", set(self.target_events))
        for name, source in self.event_sources.items():
            _require_events(name, source)
        for name, raw in (("items", self.items), ("users", self.users)):
            if raw is not None and raw.duplicate_key:
                raise ValueError(
                    f"`{name}.duplicate_key` means nothing: the key of {name} is {name[:-1]}_id. Take it out"
                )
        _require_meant_keys(self)
        if self.items is not None and self.items_from_events and self.items_file == "full":
            raise ValueError(
                '`items_from_events` beside [items] needs items_file = "changes": a full file alone says what is sold'
            )
        allowed_items = set(ITEM_UPDATES.column_names) - {"ds", "last_seen"}
        allowed_users = set(USER_UPDATES.column_names) - {"ds", "last_seen"}
        for raw, key, allowed in ((self.items, "item_id", allowed_items), (self.users, "user_id", allowed_users)):
            if raw is not None:
                _require_columns(f"{key[:4]}s.columns", raw, allowed)
                if key not in raw.columns:
                    raise ValueError(f"`{key[:4]}s.columns` must map {key!r}")
        for name, mapping, allowed in (
            ("items_from_events", self.items_from_events, allowed_items - {"item_id", "is_available"}),
            ("users_from_events", self.users_from_events, allowed_users - {"user_id"}),
        ):
            foreign = set(mapping) - allowed
            if foreign:
                raise ValueError(f"`{name}` maps {sorted(foreign)}; it may map {sorted(allowed)}")

    @property
    def event_sources(self) -> dict[str, RawFile]:
        """The kinds of files that hold events, by the names that messages give them: `events`, `events 2`, …"""
        further = {f"events {place}": raw for place, raw in enumerate(self.more_events, start=2)}
        return {"events": self.events, **further}

    @property
    def uses_anchor_weights(self) -> bool:
        """Whether the deep models of a day take the weights of its Sunday, to go on from or to answer with."""
        return self.warm_start or self.refit == "weekly"

    @property
    def texts(self) -> dict[str, str]:
        """The words of every reason."""
        return {str(code): text for code, text in {**LANGUAGES[self.language], **self.reason_texts}.items()}

    def as_dict(self) -> dict[str, Any]:
        """All settings but where the file lies: what a fingerprint is taken of."""
        return {key: value for key, value in asdict(self).items() if key != "folder"}


def load_shop(name_or_path: str) -> Shop:
    """Reads a shop file, by the name of one that ships or by its path.

    Raises:
        SettingsError: there is no such file, it is no TOML, or it says something it cannot mean.
    """
    is_path = "/" in name_or_path or name_or_path.endswith(".toml")
    path = Path(name_or_path) if is_path else SHIPPED_SHOPS / f"{name_or_path}.toml"
    if not path.is_file():
        shipped = ", ".join(sorted(p.stem for p in SHIPPED_SHOPS.glob("*.toml")))
        raise SettingsError(f"There is no shop file {path}. SHOP takes a path to a .toml file, or one of: {shipped}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise SettingsError(f"{path} is not TOML: {err}") from err
    for key in NO_LONGER_READ & values.keys():
        logger.warning("%s: `%s` is no longer read; take it out before the next release", path, key)
        del values[key]
    values = with_preset(values, str(path))
    values = with_several_events(values, str(path))
    if "folder" in values:
        raise SettingsError(f"{path}: unknown key 'folder'.")
    return settings_from_mapping(Shop, {**values, "folder": str(path.resolve().parent)}, str(path))


def with_several_events(values: dict[str, Any], where: str) -> dict[str, Any]:
    """Takes `[[events]]`, an array of tables, apart: the first is `events`, those after it are `more_events`.

    Raises:
        SettingsError: the array is empty, or `more_events` stand beside it.
    """
    if not isinstance(values.get("events"), list):
        return values
    if "more_events" in values or not values["events"]:
        raise SettingsError(
            f"{where}: write each file of events as a table [[events]], and no `more_events` beside it."
        )
    first, *others = values["events"]
    return {**values, "events": first, "more_events": others}


def _require_columns(where: str, raw: RawFile, allowed: set[str]) -> None:
    foreign = (set(raw.columns) | set(raw.fallback_columns) | set(raw.constants)) - allowed
    if foreign:
        raise ValueError(f"`{where}` maps {sorted(foreign)}; the contract has {sorted(allowed)}")


def _require_events(name: str, raw: RawFile) -> None:
    """Refuses a file of events that leaves open what an event is, or which are the same."""
    _require_columns(f"{name}.columns", raw, set(EVENTS.column_names) - {"ds", "place"})
    for required in ("event_time", "user_id", "item_id"):
        if required not in raw.columns:
            raise ValueError(f"`{name}.columns` must map {required!r}")
    if "event_type" not in {**raw.columns, **raw.constants}:
        raise ValueError(f"`event_type` must stand in `{name}.columns` or `{name}.constants`")
    if raw.is_standing:
        raise ValueError(f"`{name}.path` must hold {{ds}}, the day of the drop. Received: {raw.path!r}")
    if raw.table and raw.table.query and "$1" not in raw.table.query:
        raise ValueError(f"`{name}.table.query` must hold $1, the day whose rows it gives")
    unmapped = sorted(set(raw.duplicate_key) - set(raw.columns))
    if unmapped:
        raise ValueError(
            f"`{name}.duplicate_key` names {unmapped}, which `{name}.columns` does not map; "
            f"it maps {sorted(raw.columns)}"
        )
    if raw.duplicate_key and "user_id" not in raw.duplicate_key:
        raise ValueError(
            f"`{name}.duplicate_key` must hold 'user_id': an event is one user's. Received: {list(raw.duplicate_key)}"
        )


_MEANT_FOR = {
    "is_available_words": ("items",),
    "paths_separator": ("events", "items"),
    "currency_column": ("events", "items"),
}
"""Key of a raw file -> the kinds of files that have what it speaks of."""


def _require_meant_keys(shop: Shop) -> None:
    for name, raw in {**shop.event_sources, "items": shop.items, "users": shop.users}.items():
        for key, kinds in _MEANT_FOR.items():
            if raw is not None and getattr(raw, key) and name.partition(" ")[0] not in kinds:
                raise ValueError(f"`{name}.{key}` means nothing: only {' and '.join(kinds)} have it. Take it out")
    if shop.items is not None and shop.items.is_available_words and not shop.items.sources_of("is_available"):
        raise ValueError("`items.is_available_words` needs a column: map 'is_available' under `items.columns`")


def _require_event_types(where: str, words: set[str]) -> None:
    foreign = words - set(EVENT_TYPES)
    if foreign:
        raise ValueError(f"`{where}` must name {', '.join(EVENT_TYPES)}. Received: {sorted(foreign)}")
