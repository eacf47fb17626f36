"""What is asked, from whatever there is of it: a file, a list."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from holymon.plan import dataset_files
from holymon.plan.dataset import Dataset


def dataset(source: str | Path | Iterable[Any], *, column: str = "") -> Dataset:
    """Requests from a file, or from texts, lists of messages, objects and `Request`s.

    A file is recognised by what is in it: a text a line; JSONL of strings or of objects with
    `prompt`, `text` or `messages`; batches of OpenAI and Anthropic; ShareGPT's conversations; CSV
    with a `column`; what LiteLLM and Langfuse export. Raises ConfigError if it can't be read,
    PlanError naming the line.
    """
    if isinstance(source, str | Path):
        return dataset_files.read(Path(source), column)
    entries = ((f"entry {n}", entry) for n, entry in enumerate(source, 1))
    return dataset_files.of_entries(None, "list", entries, column)
