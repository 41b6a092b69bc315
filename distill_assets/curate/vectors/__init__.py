"""Vectors of texts: a small local model reads each text once, in a process of its own, and what it read is kept."""
