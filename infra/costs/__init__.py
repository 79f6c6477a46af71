"""What a deployment costs: prices, measurements, the bill of a month, and the worst one of an hour."""
