"""How a command ends: with an exit code, and with a sentence where others would print a traceback."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any

from modelrollout.kube import KubeError

INTERRUPTED = 130
"""As shells report Ctrl-C."""


def run_to_the_end(command: Coroutine[Any, Any, None], trouble: type[Exception]) -> int:
    """The exit code: 1 where the cluster, or the command by `trouble`, says why it has nothing to show."""
    try:
        asyncio.run(command)
    except (KubeError, trouble) as error:
        sys.stderr.write(f"modelrollout: {error}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # as by `| head`; without this Python would complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
