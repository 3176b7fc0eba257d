"""One module a kind of finding: when to look, how to judge, what to say."""
