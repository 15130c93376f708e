"""The smallest shop file: purchases alone, one CSV a day."""

from __future__ import annotations

SHOP = """
name = "corner"
horizon_days = 7
[events]
path = "{data}/{ds}.csv"
columns = {event_time = "time", user_id = "customer", item_id = "article"}
constants = {event_type = "purchase"}
"""
