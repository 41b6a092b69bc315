"""The embedded teacher `sql-grammar`: questions and SQL over any DuckDB schema card, by rules.

Belongs here: a grammar that writes question, reasoning and SQL from a `databases.Schema` alone.
Does not belong here: protocols (embedded_chat), databases, files or the network. The one idea: SQL
has one form per meaning and the question as many forms as people have; a card's documentation
supplies the words.

Read in this order: writer (the entry), lexicon (a card as words), conditions and joining (what a
question is made of), single, grouping, ranking, across, rare (intents), asking and surface (wording).
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar.writer import VERSION, Sample, write_sample

__all__ = ["VERSION", "Sample", "write_sample"]
