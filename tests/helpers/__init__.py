"""What the tests of several folders share: models, runs, launchers, small data."""
