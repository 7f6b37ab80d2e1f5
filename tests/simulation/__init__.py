"""The pool and its fleet in one deterministic simulation: clock, network, random numbers and the order of steps by a seed."""
