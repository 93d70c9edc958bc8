"""Values under keys, for as long as they hold. Knows neither Comet nor files."""
