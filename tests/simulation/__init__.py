"""The pool and its fleet, simulated: clock, network, random numbers and the order of steps follow from a seed."""
