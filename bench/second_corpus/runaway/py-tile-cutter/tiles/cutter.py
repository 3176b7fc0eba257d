"""Cuts a height map into tiles, one process per row of tiles."""
import multiprocessing


def cut_row(heights, size, row):
    """The tiles of one row, as lists of `size` lines."""
    lines = heights[row * size:(row + 1) * size]
    width = len(lines[0])
    return [
        [line[left:left + size] for line in lines]
        for left in range(0, width, size)
    ]


def _worker(heights, size, row, results):
    results.put((row, cut_row(heights, size, row)))


def cut(heights, size):
    """All tiles of the map: {(row, column): lines}."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    crew = [
        context.Process(target=_worker, args=(heights, size, row, results))
        for row in range(len(heights) // size)
    ]
    for proc in crew:
        proc.start()
    for proc in crew:
        proc.join()
    tiles = {}
    for _ in crew:
        row, cells = results.get()
        for column, lines in enumerate(cells):
            tiles[row, column] = lines
    return tiles
