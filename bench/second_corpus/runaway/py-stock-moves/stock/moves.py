"""Moves of goods between depots."""
import json
import tempfile
import threading


def note(stream, source, target, item, count):
    stream.write(json.dumps([source.name, target.name, item, count]) + "\n")
    stream.flush()


def move(source, target, item, count, stream):
    """Moves `count` of `item`; nobody sees them in both depots or in none."""
    with source.lock:
        source.take(item, count)
        note(stream, source, target, item, count)
        with target.lock:
            target.put(item, count)


def work_off(orders, stream):
    for source, target, item, count in orders:
        move(source, target, item, count, stream)


def run_shifts(shifts):
    """Works several lists of orders off at once, one thread each."""
    with tempfile.TemporaryFile("w") as stream:
        crew = [
            threading.Thread(target=work_off, args=(orders, stream), daemon=True, name=f"shift-{n}")
            for n, orders in enumerate(shifts)
        ]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
