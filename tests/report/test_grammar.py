"""What a report needs is imported without what takes long and no notebook has."""

import subprocess
import sys

CHECK = """
import sys
from holymon.report import notebooks
assert "jsonschema" not in sys.modules, "else nothing is shown"
print(sorted(notebooks.check_parameters("start", {"rate": 5})))
with notebooks._for_python3(notebooks.find_notebook("start")) as ready:
    import nbformat
    made = nbformat.read(ready, as_version=4)
    nbformat.validate(made)
    del made["cells"][0]["cell_type"]
    try:
        nbformat.validate(made)
    except nbformat.ValidationError as error:
        print("refused")
print({"jsonschema", "lark", "rfc3987_syntax"} & sys.modules.keys())
"""


def test_notebooks_are_validated_without_a_grammar_of_iris():
    """In an interpreter of its own: that of the tests has gone without it from the start."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    parameters, refused, imported = done.stdout.splitlines()
    assert "'rate'" in parameters
    assert refused == "refused", "jsonschema still checks"
    assert imported == "{'jsonschema'}"
