"""What the steps of the offline stage ask of a text: its words, its sentences, hashes of both."""
