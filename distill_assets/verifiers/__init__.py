"""Deterministic checks of an answer: no model, no Dagster; the registry is the seam for more."""
