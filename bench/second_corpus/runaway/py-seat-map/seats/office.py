"""The box office: books a whole party or nobody."""
from .map import SeatTaken


class Office:
    def __init__(self, seats):
        self.seats = seats
        self.refused = 0

    def book_party(self, customer, wanted):
        booked = []
        for seat in wanted:
            try:
                self.seats.book(seat, customer)
            except SeatTaken:
                self.refused += 1
                break
            booked.append(seat)
        return booked

    def summary(self):
        return {"free": len(self.seats.free()), "refused": self.refused}
