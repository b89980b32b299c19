"""The only place that knows everything: settings, wiring, processes, command line."""
