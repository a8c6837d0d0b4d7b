"""Numbers of few bits: which layers get them, how they are rounded, and what they are stored as."""
