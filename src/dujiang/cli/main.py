"""Entry point: options that all commands share, and the one place where errors become exit codes (design 8)."""

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any, cast

import click

from dujiang import __version__
from dujiang.cli.output import Output, default_lang
from dujiang.core.errors import InputError, OperationError
from dujiang.core.text import Lang, Text


class _Group(click.Group):
    """Loads a command's module when it is called, so that `--help` answers at once."""

    _COMMANDS = (
        *("demo", "check", "clear", "quote", "admit", "roll", "verify", "run", "import"),
        *("policy", "plan", "fund", "risk", "centre", "evidence", "screen"),
        *("sim", "study", "compare"),
    )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of a round."""
        return list(self._COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in self._COMMANDS:
            return None
        module = "import_" if cmd_name == "import" else cmd_name
        imported = __import__(f"dujiang.cli.{module}", fromlist=["command"])
        return cast(click.Command, imported.command)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--lang",
    type=click.Choice(["en", "zh"]),
    default=None,
    help="Language of messages; default: DUJIANG_LANG or the locale.",
)
@click.version_option(__version__, prog_name="dujiang")
@click.pass_context
def app(ctx: click.Context, lang: str | None) -> None:
    """都江 dujiang: one market, policy as data, metered settlement for AI compute.

    Exit codes: 0 done, 1 the input has problems (listed), 2 wrong usage, 3 an operation failed and can be tried again.
    """
    ctx.obj = ctx.obj or Output(default_lang())
    if lang:
        ctx.obj.lang = cast(Lang, lang)


def _crashed(output: Output, error: BaseException) -> None:
    """Say that the mistake is ours, and where the details are."""
    try:
        handle, name = tempfile.mkstemp(prefix="dujiang-crash-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as out:
            out.write(f"dujiang {__version__}\n")
            traceback.print_exception(error, file=out)
    except OSError:  # no room even for that
        name = "-"
    kind = type(error).__name__
    text = Text(
        f"This is our mistake, not yours ({kind}). Nothing half-written was left. Please report it with {name}",
        f"这是程序自身的错误（{kind}），未留下半成品。请附 {name} 反馈",
    )
    if output.json:
        output.document({"ok": False, "error": text.en, "error_zh": text.zh, "report": name})
    else:
        output.note(text)


def _code(output: Output, args: list[str]) -> int:
    """Run a command; say what went wrong, and return the exit code."""
    try:
        result: Any = app.main(args=args, prog_name="dujiang", standalone_mode=False, obj=output)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        output.note(Text("stopped; nothing half-written was left", "已停止，未留下半成品"))
        return 130
    except InputError as error:
        output.problems(error.problems)
        return error.exit_code
    except OperationError as error:
        if output.json:
            output.document({"ok": False, "error": error.message.en, "error_zh": error.message.zh})
        else:
            output.note(error.message)
        return error.exit_code
    except SystemExit:  # how click says that the reader of its help has gone
        return 0
    except BaseException as error:  # a Rust panic inside polars is no Exception
        _crashed(output, error)
        return 3
    return result if isinstance(result, int) else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(default_lang(), json="--json" in args)
    try:
        code = _code(output, args)
    except click.exceptions.Exit as stop:  # whoever read what went wrong has gone
        code = stop.exit_code
    except OperationError as error:  # what went wrong could not be written out
        output.note(error.message)
        code = error.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
