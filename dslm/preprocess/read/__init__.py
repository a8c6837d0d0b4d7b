"""Readers: any kind of file in, documents out."""
