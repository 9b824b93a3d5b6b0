"""The command line: the functions that the pages call, for scripts and servers without a screen.

    python -m core inspect [--as model|data|logs] PATH…
    python -m core score   --model MODEL --data DATA [--layer NAME …]
                           [--limit N | --sample N] [--out DIR]
    python -m core logs    PATH [--out FILE.parquet]
    python -m core explain --model MODEL --data DATA --example I --method NAME
                           [--target CLASS] [--layer NAME] [--out MAP.npy]

JSON on standard output, progress on standard error; what a person can put right is one line
`error: …` and exit status 2. `--card FILE` gives a model card where there is none beside the model.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from core.errors import UserError
from core.files.text_of_files import shown

STOPPED = 130  # exit status, as of other programs after Ctrl-C


def main(words: list[str] | None = None) -> int:
    """Runs one command and gives the exit status."""
    try:
        options = _parser().parse_args(words)
        return options.command(options)
    except UserError as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: stopped", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # whoever read the answer has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STOPPED


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the words in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}. See {self.prog} --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        "python -m core", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    inspect = _command(commands, "inspect", _inspect, "say what files are, running nothing in them")
    inspect.add_argument("--as", dest="kind", choices=["model", "data", "logs"])
    inspect.add_argument("--card", type=Path)
    inspect.add_argument("paths", nargs="+", type=Path)
    score = _command(commands, "score", _score, "run a model on data")
    explain = _command(commands, "explain", _explain, "map what moved one prediction")
    for command in (score, explain):
        command.add_argument("--model", required=True, type=Path)
        command.add_argument("--data", required=True, type=Path)
        command.add_argument("--card", type=Path)
        command.add_argument("--out", type=Path)
    score.add_argument("--layer", action="append", default=[], nargs="+", dest="layers")
    part = score.add_mutually_exclusive_group()
    part.add_argument("--limit", type=_positive, help="the first N examples")
    part.add_argument("--sample", type=_positive, help="N examples, stratified, as in the app")
    explain.add_argument("--example", required=True, type=_whole, help="its row, from 0")
    explain.add_argument("--method", required=True)
    explain.add_argument("--target")
    explain.add_argument("--layer")
    logs = _command(commands, "logs", _logs, "read training logs into one table")
    logs.add_argument("path", type=Path)
    logs.add_argument("--out", type=Path)
    return parser


def _command(
    commands: argparse._SubParsersAction,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary)
    command.set_defaults(command=run)
    return command


def _whole(words: str) -> int:
    try:
        return int(words)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{shown(words)} is not a whole number") from error


def _positive(words: str) -> int:
    if (number := _whole(words)) < 1:
        raise argparse.ArgumentTypeError(f"{shown(words)} is less than 1")
    return number


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _print(record: dict) -> None:
    said = json.dumps(record, ensure_ascii=False, allow_nan=True, default=str)
    try:
        said.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a name that is no text in it: JSON's escapes can say it
        said = json.dumps(record, allow_nan=True, default=str)
    print(said, flush=True)


def _inspect(options: argparse.Namespace) -> int:
    """One line of JSON a path; a refused one does not keep the others from answering."""
    if options.kind != "logs":
        import torch  # noqa: F401  (at once, so that each path costs what it takes itself)

    from core.reports import report

    status = 0
    for path in options.paths:
        try:
            _print({"path": str(path)} | report(path.absolute(), options.kind, options.card))
        except UserError as error:
            _print({"path": str(path), "error": _one_line(error)})
            status = 2
    return status


def _logs(options: argparse.Namespace) -> int:
    from core.reports import logs_report, write_table

    record, table = logs_report(options.path.absolute())
    if options.out:
        write_table(table, options.out)
    _print(record)
    return 0


def _score(options: argparse.Namespace) -> int:
    from core.score import score

    layers = tuple(name for group in options.layers for name in group)
    _print(
        score(
            options.model.absolute(),
            options.data.absolute(),
            options.card,
            layers,
            options.limit,
            options.sample,
            options.out,
        )
    )
    return 0


def _explain(options: argparse.Namespace) -> int:
    from core.score import explain

    _print(
        explain(
            options.model.absolute(),
            options.data.absolute(),
            options.card,
            options.example,
            options.method,
            options.target,
            options.layer,
            options.out,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
