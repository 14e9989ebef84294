"""Google Workspace: mobile devices in pages; the activity feed as hints."""
