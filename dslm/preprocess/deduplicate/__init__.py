"""Finding texts that are there twice, exactly or nearly."""
