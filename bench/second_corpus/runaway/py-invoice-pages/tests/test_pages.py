from importer.pages import all_invoices


def invoice(number, state="open"):
    return {"number": number, "state": state}


def test_reads_all_pages():
    export = [invoice(n) for n in range(120)]
    assert len(all_invoices(export)) == 120


def test_leaves_out_what_was_cancelled():
    export = [invoice(n) for n in range(50)]
    export += [invoice(n, "cancelled") for n in range(50, 110)]
    assert len(all_invoices(export)) == 50
