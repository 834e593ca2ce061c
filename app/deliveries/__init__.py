"""The outbox: calls owed to vendors, kept until they are delivered or a person gives them up."""
