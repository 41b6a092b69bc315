"""Tests of the lineage commands."""
