"""Objectives: what an example is and how its loss is counted; one file each."""
