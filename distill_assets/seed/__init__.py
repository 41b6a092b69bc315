"""Stage 1, seed: from the files of a recipe to seed_corpus, holdout and databases."""
