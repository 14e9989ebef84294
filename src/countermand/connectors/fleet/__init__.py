"""Fleet: hosts with their software, in pages; webhooks as hints."""
