import time


def create(folder):
    (folder / "orders.tsv").write_text("id\tamount\n1\t10\n2\t25\n")


def wait_for_readers(folder):
    # Readers of the old layout get this long to finish; there is no way to ask them.
    time.sleep(10.5)


def add_currency(folder):
    path = folder / "orders.tsv"
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head + "\tcurrency", *(r + "\tEUR" for r in rows)]) + "\n")


STEPS = [("create", create), ("drain", wait_for_readers), ("currency", add_currency)]
