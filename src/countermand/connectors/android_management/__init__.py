"""Android Management API: devices in pages, and messages through Pub/Sub."""
