"""What the steps of preprocessing take from a text: its words, its sentences, hashes of both."""
