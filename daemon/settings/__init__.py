"""What an engineer may set."""
