"""Critics: models that judge samples by a rubric."""
