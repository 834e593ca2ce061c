"""The contract with RetailOps as data: what comes in, what goes out, and who judges both."""
