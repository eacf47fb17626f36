"""The options that say what is asked, and the prompts that they make."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from holymon.cli.output import say
from holymon.cli.target_options import composed, text
from holymon.errors import PlanError
from holymon.structs import seconds_of

if TYPE_CHECKING:
    from holymon.plan.dataset import Dataset
    from holymon.plan.lengths import Lengths
    from holymon.plan.prompts import Prompts

LENGTHS: Final = (
    "a number, normal:MEAN,SD, lognormal:MEAN,SD (with a long tail) or uniform:LOW,HIGH"
)

PROMPTS: Final = composed(
    click.option("--prompt", help="What to ask."),
    click.option("--image", "pictures", multiple=True, metavar="FILE|URL", help="A picture that "
                 "comes with --prompt."),
    click.option("--prompts", "prompts_file", type=click.Path(path_type=Path), metavar="FILE",
                 help="A file of what to ask in turn, known by what is in it: text, JSONL of "
                 "strings or of objects with prompt, text or messages, OpenAI's batches, ShareGPT, "
                 "CSV, Parquet, logs of LiteLLM, Langfuse, Helicone, Bedrock and SageMaker; also "
                 "packed by gzip."),
    click.option("--trace", type=click.Path(path_type=Path), metavar="FILE",
                 help="Real traffic, when it came and of its sizes: a trace of Mooncake, AIPerf, "
                 "BurstGPT or Azure, a log of LiteLLM, Langfuse, Bedrock and the like, a run or "
                 "what hm.Monitor spilled."),
    text("--trace-window", metavar="BEGIN,END", help="Only what came then, such as 10m,20m."),
    click.option("--trace-speed", type=float, default=1.0, metavar="X", show_default=False,
                 help="So many times as fast."),
    text("--trace-unit", metavar="UNIT", help="Of times that do not say it: s, ms, us or ns."),
    text("--column", metavar="NAME", help="The column or field of that file that holds it."),
    click.option("--sample", type=int, default=0, metavar="N", show_default=False,
                 help="Only so many of that file's requests, drawn evenly at random: of .jsonl, "
                 ".jsonl.gz and Parquet however large they are."),
    text("--system", metavar="TEXT", help="What the system says, in place of what a file has."),
    click.option("--prompt-tokens", metavar="LENGTH", help="Ask made-up prompts of about so many "
                 f"tokens, each one different: {LENGTHS}; or a file of pairs, of prompts and "
                 "answers."),
    click.option("--max-tokens", metavar="LENGTH", help="Longest answer: likewise. "
                 "[default: what a file says, else 64]"),
    text("--turns", metavar="all|LENGTH", help="Hold the conversations of a file (ShareGPT, "
         "messages, sessions of a trace or of turns), or made-up ones with --prompt-tokens: so "
         "many turns at most, or all, each sent when the one before is answered, with all that was "
         "said. --concurrency is then of people, --rate of conversations that begin, --requests "
         "how many are held."),
    text("--think-time", metavar="TIME", help="From an answer to the next turn: seconds, or "
         "normal:MEAN,SD and so on. [default: what a file says, else none]"),
    click.option("--recorded-answers", is_flag=True, help="Say a file's own answers again, not "
                 "those that came."),
    click.option("--prefix-tokens", type=int, default=0, metavar="N", show_default=False,
                 help="So many more, the same for all, before each prompt."),
    click.option("--unique", is_flag=True, help="Begin each prompt as no other: no prompt cache "
                 "can help."),
    click.option("--exact-tokens", is_flag=True, help="Ask for answers of just --max-tokens "
                 "(ignore_eos and min_tokens: of vLLM, SGLang and llama.cpp)."),
    click.option("--set", "field", multiple=True, metavar="FIELD=JSON", help="A field of each "
                 "body, such as temperature=0; dots reach inside, null takes one out."),
    click.option("--no-stream", is_flag=True, help="Ask for whole answers (no TTFT then)."),
)  # fmt: skip


def prompts_of(
    seed: int, *, prompt: str | None, prompts_file: Path | None, prompt_tokens: str | None,
    max_tokens: str | None, no_stream: bool, trace: Path | None = None, trace_window: str = "",
    trace_unit: str = "", trace_speed: float = 1.0, column: str = "", system: str = "",
    prefix_tokens: int = 0, unique: bool = False, exact_tokens: bool = False,
    pictures: tuple[str, ...] = (), turns: str = "", think_time: str = "",
    recorded_answers: bool = False, sample: int = 0,
) -> "Prompts":  # fmt: skip
    """What the options ask for. Raises PlanError, ConfigError."""
    from holymon.plan.images import part_of
    from holymon.plan.lengths import parse
    from holymon.plan.prompts import DEFAULT, VARIETY, Prompts, limited, made
    from holymon.plan.requests import Request
    from holymon.records.datasets import dataset

    if sum(source is not None for source in (prompt, prompts_file, trace, prompt_tokens)) > 1:
        several = "--prompt, --prompts, --trace and --prompt-tokens"
        raise PlanError(f"{several} exclude each other: give one.")
    file = trace if prompts_file is None else prompts_file
    if prompt_tokens is not None and Path(prompt_tokens).is_file():
        file, prompt_tokens = Path(prompt_tokens), None
    _require_file(file, column, sample)
    if trace is None and (trace_window or trace_unit or trace_speed != 1):
        options = "--trace-window, --trace-speed and --trace-unit"
        raise PlanError(f"{options} are of a trace: give that with --trace.")
    answers = None if max_tokens is None else parse(max_tokens, "max_tokens")
    if pictures and (file is not None or prompt_tokens is not None):
        raise PlanError("--image comes with --prompt: a file has its own pictures.")
    varies = answers is not None and answers.kind != "fixed"
    texts, asked_for = (DEFAULT if prompt is None else prompt,), None
    held = _turns(turns, file, prompt_tokens, recorded=recorded_answers)
    if file is not None:
        asked_for = dataset(
            file, column=column, unit=trace_unit, conversations=bool(turns),
            recorded=recorded_answers, sample=sample,
        )  # fmt: skip
        _require_sizes(asked_for, file, trace or prompts_file)
        if turns and asked_for.turns == 1:
            raise PlanError(f"{file} holds no conversation of several turns: leave --turns out.")
        asked_for = _part_of(asked_for, trace_window, held, trace_speed, seed)
        if answers is not None:
            asked_for = limited(asked_for, answers if varies else None, seed)
    elif prompt_tokens is not None:
        asked_for = made(
            parse(prompt_tokens, "prompt_tokens"), answers if varies else None, seed=seed,
            turns=held,
        )  # fmt: skip
    elif varies or pictures:
        parts = [{"type": "text", "text": texts[0]}, *map(part_of, pictures)]
        single = Request([{"role": "user", "content": parts}]) if pictures else texts[0]
        asked_for = dataset([single] * (VARIETY if varies else 1))
        asked_for = limited(asked_for, answers, seed) if varies else asked_for
    if think_time:
        asked_for = _thoughtful(asked_for, think_time, seed)
    most = 64 if answers is None or varies else round(answers.first)
    return Prompts(
        texts=texts if asked_for is None else (DEFAULT,), dataset=asked_for, max_tokens=most,
        stream=not no_stream, system=system, prefix_tokens=prefix_tokens, unique=unique,
        exact_tokens=exact_tokens,
    )  # fmt: skip


def _require_file(file: Path | None, column: str, sample: int) -> None:
    """Raise PlanError for what is said of a file where there is none."""
    if (column or sample) and file is None:
        what = "--column names one of" if column else "--sample is drawn of"
        raise PlanError(f"{what} a file: give that with --prompts.")


def _part_of(
    dataset: "Dataset", window: str, turns: "Lengths | None", speed: float, seed: int
) -> "Dataset":  # fmt: skip
    """What is taken of a file, in its words on the screen."""
    from holymon.plan.conversations import capped, faster

    part = dataset.window(*_window(window)) if window else dataset
    if turns is not None:
        part = capped(part, turns, seed)
    if speed != 1 and part.turns > 1:
        part = faster(part, speed)
    say(f"{part.words}.", err=True)
    if part.left_out:
        say(f"Left out: {part.left_out}.", err=True)
    return part


def _turns(
    turns: str, file: Path | None, prompt_tokens: str | None, *, recorded: bool
) -> "Lengths | None":  # fmt: skip
    """How many turns conversations have at most; None for all. Raises PlanError."""
    from holymon.plan.lengths import parse

    if turns and file is None and prompt_tokens is None:
        raise PlanError("--turns is of a file or of made-up prompts: give --prompts, --trace or "
                        "--prompt-tokens.")  # fmt: skip
    if turns == "all" and file is None:
        raise PlanError("--turns all is of a file: say how many turns a made-up one has.")
    if recorded and (file is None or not turns):
        raise PlanError("--recorded-answers are those of a file's conversations: give --turns all.")
    return None if turns in {"", "all"} else parse(turns, "turns", "turns")


def _thoughtful(asked_for: "Dataset | None", think_time: str, seed: int) -> "Dataset":
    from holymon.plan.conversations import thoughtful
    from holymon.plan.lengths import parse_times

    thinking = parse_times(think_time, "think-time")
    if asked_for is None or asked_for.turns == 1:
        raise PlanError("--think-time is between the turns of conversations: give --turns.")
    return thoughtful(asked_for, thinking, seed)


def _require_sizes(asked_for: "Dataset", file: Path, other: Path | None) -> None:
    if asked_for.own and file != other:
        mend = "name its columns input_tokens and output_tokens, or give it with --prompts"
        raise PlanError(f"{file} holds texts, where --prompt-tokens wants sizes: {mend}.")


def _window(text: str) -> tuple[float, float]:
    begin, comma, end = text.partition(",")
    if not comma:
        raise PlanError("trace-window is none: write it as BEGIN,END, such as 10m,20m.")
    return seconds_of(begin), seconds_of(end)
