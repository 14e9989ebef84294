"""The sender: speaks SMTP step by step and never writes a dot without a durable permit."""
