"""A script of its own: it is told of process groups on its standard input, and kills them when that ends.

The input ends when the process that holds the other side is gone, however it went. Linux ties children to their parent
(PR_SET_PDEATHSIG), but not what these children start; this reaches the whole group. Imports next to nothing.
"""

import os
import signal
import sys


def main() -> None:
    """Lines are `+<group>` and `-<group>`."""
    groups: set[int] = set()
    for line in sys.stdin:
        number = int(line[1:])
        if line[0] == "+":
            groups.add(number)
        else:
            groups.discard(number)
    for number in groups:
        try:
            os.killpg(number, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
