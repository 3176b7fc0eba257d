"""`python -m bench.editor`: see `bench.editor.bars`."""

from bench.editor.bars import main

main()
