"""The feed: built from the catalogue and the stock, kept in the records, served to Retail Rocket."""
