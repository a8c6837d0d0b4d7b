"""The work of making a shard set: cut into units, shared by processes, resumed after any end."""
