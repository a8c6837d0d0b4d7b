"""A trained model from its run folder: measured (`evaluate`) and asked (`generate`)."""
