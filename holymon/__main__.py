"""`python -m holymon` is the command `holymon`.

In a folder of others that command is the safe one: Python itself lets `python -m` import from the
current folder before anything of ours can forbid it; `python -P -m holymon` does not.
"""

import os
import sys

if sys.path[0] in {"", os.getcwd()}:  # noqa: PTH109 - as Python puts it there
    del sys.path[0]

from holymon.cli.main import main

if __name__ == "__main__":
    main()
