"""Cleaning: one file for each step, and the order in which they are taken."""
