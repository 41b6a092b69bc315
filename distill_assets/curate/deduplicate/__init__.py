"""Duplicates: which samples say the same, and which one of them stands for the others."""
