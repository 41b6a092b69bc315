"""Measurements behind the figures in the README; each prints how to get it again."""
