"""What every local daemon shares: message framing on Unix sockets and process set-up."""
