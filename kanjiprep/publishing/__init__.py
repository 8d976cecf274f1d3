"""The wing that publishes: datasets and adapters, onto the Hub and back."""
