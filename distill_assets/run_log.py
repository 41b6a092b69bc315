"""Where the steps' log goes in this process: to Dagster's event log, and to one listener.

Belongs here: the console logger of in-process runs. Does not belong here: how lines look (commands).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

LOGGER_NAME = "distill_assets.steps"


@dg.logger(description="Forwards the steps' log to whoever listens in this process; quiet otherwise.")
def step_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """The run's console logger; Dagster's default prints every engine event."""
    logger = logging.getLogger(LOGGER_NAME)
    logger.setLevel(logging.DEBUG)  # Dagster reports the starts and ends of steps at this level
    logger.propagate = False
    return logger


@contextmanager
def forward_to(handler: logging.Handler) -> Iterator[None]:
    """Let `handler` have the steps' log records until the block ends."""
    logger = logging.getLogger(LOGGER_NAME)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
