import threading


class Depot:
    def __init__(self, name, items):
        self.name = name
        self.items = dict(items)
        self.lock = threading.Lock()
        self.journal = []

    def take(self, item, count):
        if self.items.get(item, 0) < count:
            raise ValueError(f"{self.name} has not got {count} of {item}")
        self.items[item] -= count
        self.journal.append((item, -count))

    def put(self, item, count):
        self.items[item] = self.items.get(item, 0) + count
        self.journal.append((item, count))
