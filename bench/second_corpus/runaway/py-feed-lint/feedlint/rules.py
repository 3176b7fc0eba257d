import re

CURRENCIES = {"EUR", "USD", "GBP", "CHF", "SEK"}
SKU = re.compile(r"[A-Z]{2}-\d{4}\Z")


def problems(feed):
    seen = set()
    for i, item in enumerate(feed["items"]):
        where = f"items[{i}]"
        sku = item.get("sku")
        if not isinstance(sku, str) or not SKU.match(sku):
            yield where, f"bad sku {sku!r}"
        elif sku in seen:
            yield where, f"sku {sku} twice"
        else:
            seen.add(sku)
        price = item.get("price")
        if isinstance(price, bool) or not isinstance(price, (int, float)) or price <= 0:
            yield where, f"bad price {price!r}"
        if item.get("currency") not in CURRENCIES:
            yield where, f"unknown currency {item.get('currency')!r}"
        if not (item.get("title") or "").strip():
            yield where, "no title"
