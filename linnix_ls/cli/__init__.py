"""The command line: `main` finds the subcommand, one module each."""
