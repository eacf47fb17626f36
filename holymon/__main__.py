"""`python -m holymon` is the command `holymon`.

In a folder of others that command is the safe one: Python itself lets `python -m` import from the
current folder before anything of ours can forbid it; `python -P -m holymon` does not.
"""

import os
import signal
import sys

if sys.path[0] in {"", os.getcwd()}:  # noqa: PTH109 - as Python puts it there
    del sys.path[0]


def main() -> None:
    """Run the command; whoever stops it while it is still imported is told so, not shown where.

    That is most of a second: a report that a scheduler ends by SIGTERM leaves a word in its log.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from holymon.cli.main import main as command
    except KeyboardInterrupt:
        sys.stderr.write("holymon: interrupted.\n")
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
