"""Faults on purpose: what a run survives, tried on CPU ranks before a cluster is rented.

    bench → trial: the real launcher, ranks with one fault → scenario: did the run survive? → table

`fault` is what goes wrong inside a rank, `scenarios` has one function for each row of the table.
"""
