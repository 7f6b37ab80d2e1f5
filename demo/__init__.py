"""The example project under load: servers, measuring, a display."""
