"""Stage 3, judge: from generations to verdicts and settled samples."""
