"""From samples to fault records: ingest, series, alarms, faults, store, web. Never asks a device."""
