"""A look inside a trained model: what it attends to, what it gives away, and what it prefers."""
