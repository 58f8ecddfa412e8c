"""Certificates by interpolation: a pilot, a surrogate that plans, a fresh pass that certifies, repairs.

No I/O: states in, requests for simulations out. A bad surrogate costs simulations, never validity.
"""
