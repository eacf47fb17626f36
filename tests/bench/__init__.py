"""Benchmarks: `python -m tests.bench.NAME --help` says what one does, and measures nothing."""

import ast
import sys
from pathlib import Path

_WORDS = sys.orig_argv[1:]
if _WORDS[:1] == ["-m"] and {"-h", "--help"} & {*_WORDS[2:]}:
    _PATH = Path(__file__).parent.joinpath(*_WORDS[1].split(".")[2:])
    _PATH = _PATH / "__main__.py" if _PATH.is_dir() else _PATH.with_suffix(".py")
    _SOURCE = _PATH.read_text() if _PATH.is_file() else "import argparse"
    if "import argparse" not in _SOURCE:
        sys.exit(print(ast.get_docstring(ast.parse(_SOURCE))))
