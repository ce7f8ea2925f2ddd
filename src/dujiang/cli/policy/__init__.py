"""`dujiang policy`: what programmes there are, what they say, and what they pay."""

from importlib import import_module

import click

COMMANDS = {
    "list": "dujiang.cli.policy.listing:command",
    "show": "dujiang.cli.policy.page:command",
    "quote": "dujiang.cli.policy.quote:command",
    "match": "dujiang.cli.policy.match:command",
    "diff": "dujiang.cli.policy.diff:command",
    "test": "dujiang.cli.policy.cases:command",
    "apply": "dujiang.cli.policy.tables:apply_command",
    "what-if": "dujiang.cli.policy.tables:what_if_command",
}
"""Command to the module and name where it stands; a new one needs a line here and nothing else."""


class _Group(click.Group):
    """Loads a command's module when it is called: a quote does not wait for the tools of tables."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands, from one programme to a million firms."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(module), name)
        return found


@click.group("policy", cls=_Group)
def command() -> None:
    """List, show, test and compare programmes; work out what they pay for one purchase, or for a table of them."""
