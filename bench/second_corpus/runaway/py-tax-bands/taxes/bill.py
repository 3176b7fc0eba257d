from .bands import Band, BandTable

YEAR_2023 = BandTable([
    Band(0, 0), Band(12_570, 20), Band(50_270, 40), Band(125_140, 45),
])


def due(income, table=YEAR_2023):
    """Tax due on `income`, in whole units."""
    total = 0
    while income > 0:
        band = table.find(income - 1)
        total += (income - band.start) * band.percent
        income = band.start
    return total // 100
