"""Slate policies: how they are learnt, stored, and checked before they may re-rank lists."""
