"""Prints the orders of a small shop: the sample of linnix-ls. One of its loops gets nowhere."""

import os


def wait_for_printer(device: str) -> None:
    """Come back when the printer is there."""
    while not os.path.exists(device):
        pass  # never rests, and never gives up


def print_order(order: str, device: str) -> None:
    wait_for_printer(device)
    with open(device, "a", encoding="utf-8") as printer:
        printer.write(order + "\n")
