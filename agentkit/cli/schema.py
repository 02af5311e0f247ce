"""`agentkit schema`: the scenario format for editors."""

from __future__ import annotations

import click

from agentkit.cli.options import write_json


@click.command("schema")
@click.option("--suite", is_flag=True, help="Of suite.yaml instead of scenario files.")
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to write it ('-': standard output).")
def command(suite: bool, output: str) -> None:
    """Print the JSON Schema of the scenario format.

    An editor uses it where a file's first line says: # yaml-language-server: $schema=scenario.schema.json
    """
    from agentkit.scenario.schema import scenario_schema, suite_schema

    write_json(output, suite_schema() if suite else scenario_schema())
