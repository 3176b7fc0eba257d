"""What authoring help knows of this machine: its tracepoints, BPF helpers, maps and types.

Data and its readers; nothing here knows of editors or needs privilege.
"""
