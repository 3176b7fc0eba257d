"""Reads invoices page by page from the accounting export."""

PAGE = 50


def read_page(export, cursor):
    """Up to PAGE rows from `cursor` on, and where the next page begins."""
    rows = export[cursor : cursor + PAGE]
    return rows, cursor + len(rows)


def all_invoices(export):
    """All rows of an export, but those that were cancelled."""
    cursor = 0
    found = []
    while cursor < len(export):
        rows, following = read_page(export, cursor)
        if all(row["state"] == "cancelled" for row in rows):
            continue
        found.extend(row for row in rows if row["state"] != "cancelled")
        cursor = following
    return found
