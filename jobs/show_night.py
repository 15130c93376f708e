"""Shows a published night to people: where everything is, how good it is, and what a few users get.

Reads the published tables, the manifest and the histories of `ds`; writes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import zip_longest
from textwrap import fill
from typing import Any

from expectations.runtime.drops import DropFolder
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.runtime.published_tables import manifest_rows
from expectations.semantics.published_tables import output_tables
from expectations.tables import CROSS_DOMAIN_RECOMMENDATIONS, RUN_MANIFEST, USER_RECOMMENDATIONS, NightError
from jobs.lists.list_assembly import BROUGHT_BY
from jobs.publishing.night_sample import (
    AudienceSample,
    DomainSample,
    ItemSample,
    SegmentSample,
    ShownItem,
    UserSample,
    sample_audiences,
    sample_domains,
    sample_items,
    sample_segments,
    sample_users,
)

WIDTH = 118
"""Characters of a line, which a terminal of 120 shows whole."""
NAME_WIDTH = 30
"""Characters of the column of names."""
HISTORY_WIDTH = 40
"""Characters of the column of what a user did before."""
TITLE_WIDTH = 26
"""Characters of a title."""
REASON_WIDTH = 35
"""Characters of a reason."""
NUM_SAMPLES = 3
"""Users, items and segments that are shown as examples."""


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the night."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    print(night_text(night, os.environ.get("MLFLOW_TRACKING_URI")))


def night_text(night: Night, tracking_uri: str | None) -> str:
    """Returns the whole page.

    Args:
        tracking_uri: of the MLflow server; None where runs are kept under the root.

    Raises:
        NightError: the night was not published.
    """
    lake, ds = night.lake, night.ds
    drops = night.drop_folder
    manifest = _manifest(lake, ds)
    metrics = json.loads(manifest[USER_RECOMMENDATIONS.name]["metrics"])
    judged_days = " and ".join(night.backtest_days)
    sections = [
        _title(f"Night of {ds}, shop {night.shop.title or night.shop.name}"),
        places_text(lake, ds, drops, tracking_uri),
        _title("Tables"),
        tables_text(manifest),
        _title(f"Backtest: fitted as of {judged_days}, judged on the days after, over the full catalogue"),
        backtest_text(metrics["backtest"], metrics["gate"]["published_model"], night.shop.top_k),
        _title("Gate"),
        gate_text(metrics["gate"]),
        _title("Rules"),
        rules_text(metrics.get("rules")),
        _title("Long term"),
        policy_text(metrics.get("policy"), metrics["table"].get("drawn_share", 0.0)),
        _title("What a few users get"),
        *(user_text(user) for user in sample_users(lake, ds, NUM_SAMPLES)),
        _title("What goes with a few items"),
        *(item_text(item) for item in sample_items(lake, ds, NUM_SAMPLES)),
        _title("What new users get, by what is known of them"),
        *(segment_text(segment) for segment in sample_segments(lake, ds, NUM_SAMPLES)),
        _title(f"Who may want what is new: first seen in the last {night.shop.new_items.days} days"),
        audiences_text(sample_audiences(lake, ds, NUM_SAMPLES, NUM_SAMPLES)),
        *_domain_sections(lake, ds, manifest),
    ]
    return "\n".join(sections)


def places_text(lake: Lake, ds: str, drops: DropFolder, tracking_uri: str | None) -> str:
    """Tells where everything is, one place a line."""
    places = {
        **{table.name: lake.table_path(table) for table in (*output_tables(lake, ds), RUN_MANIFEST)},
        "Data Docs": f"{lake.root}/data_docs/index.html",
        "MLflow": tracking_uri or f"{lake.root}/mlflow",
        "raw drops": drops.path(drops.shop.events, ds),
        "lake": f"{lake.root}/lake",
    }
    return "\n".join(f"  {name:<{NAME_WIDTH}}{place}" for name, place in places.items())


def tables_text(manifest: dict[str, dict[str, Any]]) -> str:
    """Returns one line per published table."""
    heads = f"{'status':<12}{'rows':>12}{'users/items':>13}{'fallback':>10}{'coverage':>10}  as before"
    lines = [f"  {'table':<{NAME_WIDTH}}{heads}"]
    for name, row in sorted(manifest.items()):
        figures = json.loads(row["metrics"])["table"]
        lines.append(
            f"  {name:<{NAME_WIDTH}}{row['status']:<12}{row['rows']:>12,}{row['users']:>13,}"
            f"{row['fallback_share']:>10.1%}{figures['coverage']:>10.1%}  {_as_before(figures['drift'])}"
        )
    return "\n".join(lines)


def _as_before(drift: dict[str, Any]) -> str:
    return "–" if drift["overlap"] is None else f"{drift['overlap']:.1%} of {drift['compared_with']}"


def backtest_text(rows: Sequence[dict[str, Any]], published_model: str, k: int) -> str:
    """Returns the backtest at `k`, best model first; an arrow marks what is published."""
    if not rows:
        return "  This night has no backtest."
    names = ("ndcg", "recall", "map", "mrr", "hit_rate", "coverage")
    lines = []
    for task in sorted({row["task"] for row in rows}):
        at_k = sorted((r for r in rows if (r["task"], r["k"]) == (task, k)), key=lambda r: (-r["ndcg"], r["model"]))
        if not at_k:
            continue
        lines.append(f"  {task}, {at_k[0]['num_users']:,} users, {at_k[0]['num_items']:,} items, k={k}")
        lines.append(f"    {'model':<22}" + "".join(f"{name:>10}" for name in names) + f"{'ndcg, 95 %':>19}")
        for row in at_k:
            mark = "→" if row["model"] == published_model else " "
            cells = "".join(f"{row[name]:>10.4f}" for name in names)
            lines.append(f"  {mark} {row['model']:<22}{cells}{_interval(row):>19}")
    return "\n".join(lines)


def _interval(row: dict[str, Any]) -> str:
    return "too few users" if row["num_users"] < 2 else f"{row['ndcg_low']:.4f} – {row['ndcg_high']:.4f}"


def gate_text(gate: dict[str, Any]) -> str:
    """Returns the decision in a sentence or two."""
    decided = f"Published: {gate['published_model']}{' (a fallback)' if gate['is_fallback'] else ''}."
    champion = f"Published before: {gate['champion'] or 'nothing'}."
    return f"  {decided} {champion}\n  {gate.get('reason', '')}".rstrip()


def rules_text(rules: dict[str, Any] | None) -> str:
    """Returns the shop's rules, and what each did to the lists of users."""
    if rules is None:
        return "  Nothing was noted of them."
    counts = {name: f"{count:,} {name}" for name, count in rules["counts"].items() if count}
    brought = [counts.pop(name) for name in BROUGHT_BY if name in counts]
    proposed, moved, filled = (counts.pop(name, f"0 {name}") for name in ("proposed", "moved", "filled"))
    declared = ", ".join(f"{name} {_short(value)}" for name, value in rules["declared"].items())
    lines = [
        f"version {rules['version']}: {declared}" if declared else "The shop file sets none.",
        f"Taken out of {proposed} rows: {', '.join(counts.values()) or 'none'}",
        f"Brought into lists: {', '.join(brought) or 'none'}; {moved}, {filled} in",
        *(f"Named, but not in the catalogue: {count} {kind}" for kind, count in rules["unknown"].items()),
    ]
    wrapped = (fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ") for line in lines)
    return "\n".join(wrapped)


def policy_text(policy: dict[str, Any] | None, drawn_share: float) -> str:
    """Tells whether the policy re-ranked the lists, why or why not, how far they moved, and what was left to chance."""
    if policy is None:
        return "  Nothing was noted of it."
    done = f"Re-ranked by {policy['agent']}" if policy["is_allowed"] else "Not re-ranked"
    lines = [f"{done}: {policy['reason']}"]
    if policy.get("movement"):
        moved = policy["movement"]
        lines.append(
            f"{'Moved' if policy['is_allowed'] else 'Would move'}: {moved['overlap']:.1%} of the published model's "
            f"first {moved['top_k']} stay there, {moved['first_changed']:.1%} of users see another item first, an item "
            f"moves {moved['displacement']:.1f} ranks"
        )
    drawn = "every place goes to the best item, propensity 1"
    if policy.get("temperature"):
        drawn = (
            f"{drawn_share:.1%} of the rows were drawn, at temperature {policy['temperature']:g}; `propensity` says "
            f"how likely each was"
        )
    wrapped = (
        fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ") for line in [*lines, f"Chance: {drawn}"]
    )
    return "\n".join(wrapped)


def _short(value: Any) -> str:
    """Returns a number as it is, and of what is long only how much there is."""
    return f"({len(value)})" if isinstance(value, list) else str(value)


def user_text(user: UserSample) -> str:
    """Returns a user's history, latest first, beside their recommendations."""
    left = [f"{event.at:%Y-%m-%d} {event.event_type:<9}{event.title}" for event in user.history]
    right = [shown_text(item) for item in user.recommendations]
    left = (
        left if len(left) <= len(right) else [*left[: len(right) - 1], f"… and {len(left) - len(right) + 1:,} earlier"]
    )
    lines = [
        f"  user {user.user_id}",
        f"  {'history, latest first':<{HISTORY_WIDTH}} │ recommended: score, reason (* filled in)",
    ]
    for before, after in zip_longest(left, right, fillvalue=""):
        lines.append(f"  {_cut(before, HISTORY_WIDTH):<{HISTORY_WIDTH}} │ {after}".rstrip())
    return "\n".join([*lines, ""])


def _domain_sections(lake: Lake, ds: str, manifest: dict[str, dict[str, Any]]) -> list[str]:
    """Nothing for a shop of one domain."""
    if CROSS_DOMAIN_RECOMMENDATIONS.name not in manifest:
        return []
    samples = sample_domains(lake, ds, NUM_SAMPLES)
    return [_title("What a few users would like in a domain, from what they did in others"), *map(domain_text, samples)]


def domain_text(sample: DomainSample) -> str:
    """Returns a user's list of one domain."""
    rows = [f"    {shown_text(item, WIDTH - TITLE_WIDTH - 20)}" for item in sample.recommendations]
    return "\n".join([f"  user {sample.user_id}, {sample.domain}", *rows, ""])


def item_text(item: ItemSample) -> str:
    """Returns an item, and what goes with it or is like it."""
    return "\n".join([f"  {_cut(item.title, WIDTH)}", *map(_line, item.similar), ""])


def segment_text(segment: SegmentSample) -> str:
    """Returns a segment and its list."""
    return "\n".join([f"  {_cut(segment.segment, WIDTH)}", *map(_line, segment.recommendations), ""])


def audiences_text(audiences: Sequence[AudienceSample]) -> str:
    """Returns new items and the first users of each audience."""
    lines = []
    for audience in audiences:
        lines += [
            f"  {_cut(audience.title, WIDTH - 20)}, {audience.num_users:,} users",
            *map(_line, audience.first),
            "",
        ]
    return "\n".join(lines) if lines else "  Nothing was new."


def shown_text(item: ShownItem, reason_width: int = REASON_WIDTH) -> str:
    """Returns one recommendation: rank, title, score, reason; a star marks what the fallback filled in."""
    title, star = _cut(item.title, TITLE_WIDTH), "*" if item.is_fallback else " "
    return f"{item.rank:>2} {title:<{TITLE_WIDTH}} {item.score:>8.4g}{star}{_cut(item.reason, reason_width)}"


def _manifest(lake: Lake, ds: str) -> dict[str, dict[str, Any]]:
    rows = manifest_rows(lake, [ds])
    if not rows:
        raise NightError(
            f"{RUN_MANIFEST.name} ds={ds}: this night was not published under {lake.root}. "
            f"Was jobs.publish_tables run for it?"
        )
    return {row["table_name"]: row for row in rows}


def _line(row: ShownItem) -> str:
    return f"    {row.rank:>2} {_cut(row.title, 50):<50} {row.score:>8.4g}  {_cut(row.reason, 50)}"


def _title(text: str) -> str:
    return f"\n{text}\n{'─' * min(len(text), WIDTH)}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


if __name__ == "__main__":
    run_program(main)
