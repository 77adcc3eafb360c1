"""What the operator wrote, as typed records. Knows nothing of the network, of time or of the other rooms."""
