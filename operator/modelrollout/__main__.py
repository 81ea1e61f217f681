"""The command line: `modelrollout run` starts the operator, `status` shows a rollout, `disagreements`
where its versions answer differently, `backtest` tries a policy, `lint` and `render` read ModelRollouts in files."""

from __future__ import annotations

import argparse
import sys

from modelrollout.cli import disagreement_flags, file_flags, status_flags
from modelrollout.cli.backtest import flags as backtest_flags
from modelrollout.shell import settings as operator_settings
from modelrollout.shell.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="modelrollout", description="Progressive releases of machine-learning models."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the operator", description="Run the operator until it is told to stop.")
    operator_settings.add_flags(run)
    status_flags.add_flags(
        commands.add_parser("status", help="show where a rollout stands", description="Show a rollout.")
    )
    disagreements = commands.add_parser(
        "disagreements",
        help="show where candidate and stable answer differently",
        description="Show the newest requests that candidate and stable answered differently, while a shadow stage "
        "compares them.",
    )
    disagreement_flags.add_flags(disagreements)
    backtest = commands.add_parser("backtest", help="replay a policy over what Prometheus remembers")
    backtest_flags.add_flags(backtest)
    lint = commands.add_parser(
        "lint",
        help="check ModelRollouts in files",
        description="Say what the operator would say to ModelRollouts and templates of metrics in files, and on which "
        "line. No cluster is asked. Ends with 1 where something has to be mended, with 2 where a file cannot be read.",
    )
    file_flags.add_flags(lint)
    render = commands.add_parser(
        "render",
        help="show what ModelRollouts in files lead to",
        description="Write the workload, the Services and the route that the operator would make, once the version in "
        "the file serves everybody. No cluster is asked. Ends as lint does.",
    )
    file_flags.add_flags(render)
    flags = parser.parse_args(backtest_flags.joined(sys.argv[1:] if arguments is None else arguments))
    # What a command needs is imported when it runs: kopf, kubernetes.aio and scipy take longer than a help text may.
    if flags.command == "status":
        from modelrollout.cli.status import run as run_status

        return run_status(flags)
    if flags.command == "disagreements":
        from modelrollout.cli.disagreements import run as run_disagreements

        return run_disagreements(flags)
    if flags.command == "backtest":
        from modelrollout.cli.backtest.command import run as run_backtest

        return run_backtest(flags)
    if flags.command == "lint":
        from modelrollout.cli.lint import run as run_lint

        return run_lint(flags)
    if flags.command == "render":
        from modelrollout.cli.render import run as run_render

        return run_render(flags)
    try:
        return _run(operator_settings.from_flags(flags))
    except ValueError as error:
        parser.error(str(error))


def _run(settings: Settings) -> int:
    import asyncio

    from modelrollout.kube import KubeError
    from modelrollout.shell import leading

    configure_log(settings)
    try:
        return asyncio.run(leading.run(settings))
    except (KubeError, OSError) as error:  # OSError: a port is taken
        sys.stderr.write(f"modelrollout: {error}\n")
        return 1


def configure_log(settings: Settings) -> None:
    """One line on stderr for each record, with the release that it is about."""
    import logging

    import kopf

    from modelrollout.shell import journal

    kopf.configure(
        debug=settings.log_level == "debug",
        quiet=settings.log_level in ("warning", "error"),
        log_format=kopf.LogFormat.JSON if settings.log_format == "json" else kopf.LogFormat.FULL,
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(journal.WithFields())
    logging.getLogger("modelrollout").setLevel(settings.log_level.upper())
    # "Handler succeeded" for every event of every pod; what happens to a rollout we tell ourselves.
    logging.getLogger("kopf.objects").setLevel("DEBUG" if settings.log_level == "debug" else "WARNING")


if __name__ == "__main__":
    sys.exit(main())
