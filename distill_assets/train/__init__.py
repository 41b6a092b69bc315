"""Stage 5, train: from training_dataset to student_checkpoint."""
