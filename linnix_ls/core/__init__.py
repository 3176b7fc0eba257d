"""The part that decides: events in, changes out.

Nothing here does I/O, reads a clock, logs or awaits; time arrives as a value. So everything
here can be tested, and replayed from a recording, without privilege and in milliseconds.
"""
