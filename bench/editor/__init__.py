"""What the language server costs an editor: `python -m bench.editor`."""
