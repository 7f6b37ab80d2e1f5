"""The example project under load: starts servers, measures, and shows the numbers."""
