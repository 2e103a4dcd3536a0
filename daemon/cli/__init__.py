"""The `driftline` command, one file for each group of subcommands."""
