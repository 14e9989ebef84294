"""Jamf Pro: mobile devices and computers, in pages; webhooks as hints."""
