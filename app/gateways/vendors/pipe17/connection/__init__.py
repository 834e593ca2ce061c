"""What the whole account shares: the API's form, the integration's settings and permissions, locations."""
