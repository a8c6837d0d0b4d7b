"""Finding texts that occur twice, exactly or nearly."""
