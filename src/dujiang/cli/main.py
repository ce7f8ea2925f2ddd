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

    _COMMANDS = ("demo", "check", "clear", "verify", "run", "import")

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
    ctx.obj = Output(cast(Lang, lang) if lang else default_lang())


def _crashed(output: Output, error: BaseException) -> None:
    """Say that the mistake is ours, and where the details are."""
    handle, name = tempfile.mkstemp(prefix="dujiang-crash-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(f"dujiang {__version__}\n")
        traceback.print_exception(error, file=out)
    kind = type(error).__name__
    text = Text(
        f"This is our mistake, not yours ({kind}). Nothing half-written was left. Please report it with {name}",
        f"这是程序自身的错误（{kind}），未留下半成品。请附 {name} 反馈",
    )
    if output.json:
        output.document({"ok": False, "error": text.en, "error_zh": text.zh, "report": name})
    else:
        output.note(text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    output = Output(default_lang())
    args = list(sys.argv[1:] if arguments is None else arguments)
    if "--lang" in args[:-1] and args[args.index("--lang") + 1] in ("en", "zh"):
        output.lang = cast(Lang, args[args.index("--lang") + 1])
    output.json = "--json" in args
    try:
        result: Any = app.main(args=args, prog_name="dujiang", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, click.Abort):
        output.note(Text("stopped; nothing half-written was left", "已停止，未留下半成品"))
        code = 130
    except InputError as error:
        output.problems(error.problems)
        code = error.exit_code
    except OperationError as error:
        if output.json:
            output.document({"ok": False, "error": error.message.en, "error_zh": error.message.zh})
        else:
            output.note(error.message)
        code = error.exit_code
    except BrokenPipeError:
        # The reader of our output has gone (`dujiang … | head`); what it wanted it has.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        _crashed(output, error)
        code = 3
    sys.exit(code)


if __name__ == "__main__":
    main()
