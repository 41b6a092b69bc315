"""Finds samples that leak a holdout or benchmark item, by the words that they share.

Belongs here: protected items, rules, the scan and its evidence. Does not belong here: reading a holdout or benchmark (seed),
neighbours by meaning (embeddings), dropping (select).

`build_item_index` once, then `scan_documents` for as many chunks of documents as there are; `find_overlaps` is both in one.
"""

from distill_assets.curate.decontaminate.index import ItemIndex, build_item_index
from distill_assets.curate.decontaminate.items import gather_items
from distill_assets.curate.decontaminate.scan import find_overlaps, scan_documents

__all__ = [
    "ItemIndex",
    "build_item_index",
    "find_overlaps",
    "gather_items",
    "scan_documents",
]
