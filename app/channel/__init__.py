"""The core: what each callback means, in RetailOps' words, knowing neither HTTP nor any vendor."""
