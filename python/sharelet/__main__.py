"""The program `sharelet`: what `sharelet` on the command line and `python -m sharelet` run."""

import signal
import sys

from . import _sharelet


def main() -> None:
    """Runs the command that the arguments say, and ends the process with its exit code."""
    # Ctrl-C is the program's own business from here on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_sharelet.program(["sharelet", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
