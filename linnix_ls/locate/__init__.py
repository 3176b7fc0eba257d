"""Close looks at one process: what it is doing, in which language, and where its source is."""
