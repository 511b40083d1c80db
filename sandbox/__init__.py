"""A simulated Glopal Order API and a simulated store, with faults to switch on.

Everything here speaks HTTP only and imports nothing of the hub, so that it can disagree with the hub. Both sides keep
their own books: what really happened, including the effects whose answer was lost on the way.
"""
