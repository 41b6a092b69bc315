"""distill_assets: a declarative DAG build system for synthetic-data distillation on Dagster."""

__version__ = "0.1.0"
