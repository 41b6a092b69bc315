"""Stage 6, evaluate: from checkpoint and holdout to eval_results and eval_report."""
