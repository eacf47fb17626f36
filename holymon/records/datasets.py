"""What is asked, from whatever there is of it: a file, a list, what was recorded."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from holymon.errors import ConfigError
from holymon.plan import dataset_files
from holymon.plan.dataset import MOST_REQUESTS, Dataset
from holymon.plan.dataset_forms import How, form_of
from holymon.plan.given_file import begins
from holymon.plan.traces import check_unit
from holymon.records import own_traffic, parquet
from holymon.structs import check_range


def dataset(
    source: str | Path | Iterable[Any], *, column: str = "", unit: str = "",
    conversations: bool = False, recorded: bool = False, sample: int = 0,
) -> Dataset:  # fmt: skip
    """Requests from a file, or from texts, lists of messages, objects and `Request`s.

    A file is recognised by what is in it: a text a line; JSONL of strings or of objects with
    `prompt`, `text` or `messages`; batches of OpenAI and Anthropic; ShareGPT's conversations; CSV
    or Parquet with a `column`; what LiteLLM, Langfuse, Helicone, Bedrock and SageMaker log; traces
    with sizes of Mooncake, AIPerf, BurstGPT and Azure, or of others, whose `unit` of times has to
    be told. The folder of a run, its calls.parquet and what a monitor spilled are traffic of one's
    own, by its sizes.

    With `conversations` ShareGPT's, messages with several turns, and sessions of a trace
    (`session_id`, or `chat_id` and `parent_chat_id`) are held turn by turn, each with what was said
    before and the answers that came, or those of the file if `recorded`. Sessions that list their
    `turns` (AIPerf) always are. In a trace that counts a history as part of each prompt (Bailian's)
    it is sent so, without an answer. With `sample` so many entries are drawn, each as likely as any
    other: of .jsonl (also packed by gzip) and Parquet also where all would not fit into memory.
    Raises ConfigError if it can't be read, PlanError naming the line, RunError for what is no run.
    """
    check_unit(unit)
    check_range("sample", sample, 0, MOST_REQUESTS)
    how = How(column, unit, conversations, recorded, sample)
    if not isinstance(source, str | Path):
        entries = ((f"entry {n}", entry) for n, entry in enumerate(source, 1))
        return dataset_files.of_entries(None, "list", entries, how)
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    if begins(path, b"PAR1"):
        return _of_parquet(path, how)
    if sample and dataset_files.suffix_of(path) in dataset_files.LINES:
        return dataset_files.of_lines(path, how)
    data = dataset_files.content(path)
    return dataset_files.of_data(path, data, how)


def _of_folder(folder: Path) -> Dataset:
    if (folder / "plan.json").is_file():
        return own_traffic.of_run(folder)
    spilled = sorted(folder.glob("calls-*.parquet"))
    if not spilled:
        raise ConfigError(f"{folder} is no run, and holds nothing that a monitor spilled.")
    return own_traffic.of_files(spilled, folder.name)


def _of_parquet(path: Path, how: How) -> Dataset:
    names = list(parquet.columns(path))
    if set(names) >= own_traffic.NEEDED:
        return own_traffic.of_files([path], path.name)
    if how.column or not form_of(dict.fromkeys(names))[0]:
        how = how._replace(column=dataset_files.chosen(path, names, how.column))
    every = int(parquet.table(path, {"n": "count(*)"})["n"][0]) if how.sample else 0
    outside = max(every - how.sample, 0)
    return dataset_files.of_entries(path, "Parquet", _rows(path, names, how), how, outside)


def _rows(path: Path, names: list[str], how: How) -> Iterator[tuple[str, Any]]:
    column = how.column
    wanted = [column] if column else names
    for n, row in enumerate(parquet.rows(path, wanted, MOST_REQUESTS, how.sample), 1):
        entry = dict(zip(wanted, row, strict=True))
        if not column or entry[column]:
            yield f"row {n}", entry
