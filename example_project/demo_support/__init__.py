"""What the demo needs beyond the example project: servers, measuring, a display."""
