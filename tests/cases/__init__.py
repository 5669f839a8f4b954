"""What users do with courtyard where they work: in servers, pools, shells and small machines."""
