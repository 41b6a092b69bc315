"""Every error a user can meet, in one family.

Belongs here: exception classes, nothing else. A message says what was wrong (with the value),
where, what was left untouched and what to do. Each class also inherits the standard-library type
that a caller without knowledge of this package would catch.
"""

from __future__ import annotations

MAX_CULPRITS = 5


class DistillError(Exception):
    """Base of all errors that are shown to a user without a traceback."""


class RecipeError(DistillError, ValueError):
    """A recipe folder or its recipe.yaml cannot be used."""


class SeedError(DistillError, ValueError):
    """A seed or holdout file cannot be read as rows."""


class ContaminationError(DistillError, ValueError):
    """A holdout item cannot be protected; decontamination does not skip rows."""


class DuplicatesError(DistillError, ValueError):
    """Duplicates cannot be marked as the recipe wants it; no sample was dropped."""


class DatabaseSourceError(DistillError, ValueError):
    """A recipe's database cannot be built, opened or described."""


class TableShapeError(DistillError, TypeError):
    """A frame does not match the table it is to be stored as."""


class StorageError(DistillError, OSError):
    """A table, checkpoint or report cannot be written or read back."""


class NothingSurvivedError(DistillError, ValueError):
    """A stage kept no row; the last good table stays."""


class TeacherError(DistillError, RuntimeError):
    """A teacher endpoint refused for a reason that a retry does not mend."""


class BudgetError(TeacherError):
    """More would have to be spent than the recipe allows."""


class JudgeError(DistillError, ValueError):
    """Judging as the recipe wants it cannot be trusted or cannot be done."""


class BaseModelError(DistillError, FileNotFoundError):
    """The base model is missing, damaged or of another shape than expected."""


class TrainingError(DistillError, RuntimeError):
    """Training ended without a checkpoint."""


class CheckpointError(DistillError, OSError):
    """A checkpoint does not match its manifest."""


class GateError(DistillError, RuntimeError):
    """An upstream blocking check is not green."""


class SandboxError(DistillError, RuntimeError):
    """Untrusted code cannot be run as safely as is asked for, or the sandbox itself failed; nothing is known of the code."""


class LockedError(DistillError, BlockingIOError):
    """Another run holds this workspace."""


class ReviewError(DistillError, ValueError):
    """A person's label, or what was asked of a review, cannot be used."""


class QualityError(DistillError, ValueError):
    """The learned quality filter cannot be used; samples stay unscored."""


class SelectionError(DistillError, ValueError):
    """The recipe wants a mix of samples that the samples there are cannot give."""


class LineageError(DistillError, ValueError):
    """The ledger, a manifest or a proof cannot be read, trusted or extended."""


class PromptLockError(DistillError, ValueError):
    """A released prompt file was edited in place."""


def name_culprits(culprits: list[str]) -> str:
    """Join at most five culprits and say how many more there are."""
    shown = ", ".join(culprits[:MAX_CULPRITS])
    more = len(culprits) - MAX_CULPRITS
    return shown if more <= 0 else f"{shown} and {more} more"
