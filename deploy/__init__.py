"""What helps to run Sallyport: units, example configuration and the demo laboratory."""
