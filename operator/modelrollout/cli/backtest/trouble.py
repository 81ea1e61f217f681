"""Errors that end a backtest early: each is a sentence for the user, and an exit code."""

from __future__ import annotations


class BacktestError(Exception):
    """It cannot go on; the text says why and what to do."""

    exit_code = 1


class MisuseError(BacktestError):
    """A flag, a file or a field of it is wrong."""

    exit_code = 2


class AwayError(BacktestError):
    """Prometheus did not answer, or not with what was asked for."""
