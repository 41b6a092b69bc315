"""Stage 4, curate: marks, then the one selection that drops rows."""
