"""What counts as wrong: Prometheus rule files, evaluated in process. Never asks a device, never opens a fault."""
