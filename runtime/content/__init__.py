"""What a model's files could do to the host that opens them: looked at before one is visible."""
