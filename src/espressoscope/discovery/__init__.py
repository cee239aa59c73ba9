"""Finding cameras on the network, asynchronously; results as they come, stream URLs never opened."""
