"""Stage 2, generate: from seeds to raw_generations through a teacher."""
