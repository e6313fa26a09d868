"""Logging: one line a fact, fields instead of sentences, to standard error."""

import logging
import sys
from typing import Any, cast

import structlog


def configure(process: str, level: int = logging.INFO) -> structlog.stdlib.BoundLogger:
    """Set up logging for a process and return its logger; standard library loggers print warnings only."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger().bind(process=process))


def get(**fields: Any) -> structlog.stdlib.BoundLogger:
    """A logger with fields bound."""
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger().bind(**fields))
