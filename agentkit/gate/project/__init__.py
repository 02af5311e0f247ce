"""The gate as a project configures it: its table, its quarantines, its judge's labels, and runs of its store."""
