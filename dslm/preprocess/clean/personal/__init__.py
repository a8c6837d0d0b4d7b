"""Personal data in text: addresses, keys and numbers, each found by its form and its checksum."""
